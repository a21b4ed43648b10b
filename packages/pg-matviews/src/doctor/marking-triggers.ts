import { quoteLiteral } from '@cachekit/core/postgres';
import { markingSql, marksCompletely } from '../migrate/marking.ts';
import type { Records } from '../migrate/records.ts';
import { logMark } from '../migrate/rollups.ts';
import { readSourceTable } from '../migrate/source-table.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { type MarkRule, markEvents, markTriggerName } from '../sql/mark-trigger.ts';
import type { Examination } from './examination.ts';
import { type Finding, finding, together } from './finding.ts';

/** Tables and partitions whose writes should mark views and do not, because a trigger is gone or sleeps. */
export async function deafTables({ sql, records }: Examination): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const source of [...new Set(records.sources.map((one) => one.source))].sort()) {
    const table = await readSourceTable(sql, source);
    if (table === undefined || marksCompletely(table)) continue;
    const rules = rulesOf(records, source);
    const mend = [together([...markingSql(table, rules), ...markEverything(source, rules)])];
    const views = rules.map(({ view }) => view).join(', ');
    const asleep = await jsonRows<{ table: string; trigger: string }>(
      sql,
      `SELECT format('%I.%I', n.nspname, c.relname) AS table, t.tgname AS trigger
       FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE t.tgname LIKE 'cachekit\\_mark\\_%' AND t.tgenabled IN ('D', 'R')`,
    );
    for (const { name, triggers } of table.tables) {
      const absent = markEvents.map(markTriggerName).filter((trigger) => !triggers.includes(trigger));
      const disabled = absent.filter((trigger) =>
        asleep.some((one) => one.table === name && one.trigger === trigger),
      );
      if (disabled.length > 0) {
        findings.push(
          finding(
            'trigger-disabled',
            name,
            `${disabled.join(', ')} does not fire here, so what is written is not marked: ${views} keeps the old rows.`,
            mend,
          ),
        );
      }
      if (absent.length > disabled.length) {
        const part =
          name === source
            ? ''
            : ` It is a partition of ${source}: writes through the parent mark, writes to it do not.`;
        findings.push(
          finding(
            'trigger-missing',
            name,
            `It has no trigger for ${absent
              .filter((trigger) => !disabled.includes(trigger))
              .map((trigger) => trigger.replace('cachekit_mark_', ''))
              .join(', ')}, so such writes are not marked: ${views} keeps the old rows.${part}`,
            mend,
          ),
        );
      }
    }
  }
  return findings;
}

function rulesOf({ sources, views }: Records, source: string): MarkRule[] {
  return sources
    .filter((one) => one.source === source)
    .sort((a, b) => (a.view < b.view ? -1 : 1))
    .map((one) => {
      const program = views.find(({ name }) => name === one.view)?.rollup?.program;
      return program === undefined ? one : { ...one, rollup: logMark(program, one) };
    });
}

/** What was written without a trigger is in the refresh that follows. */
function markEverything(source: string, rules: readonly MarkRule[]): string[] {
  return rules.map(({ view, rollup }) =>
    rollup === undefined
      ? `INSERT INTO cachekit.mark (view, source, everything) VALUES (${quoteLiteral(view)}, ${quoteLiteral(source)}, true)`
      : `INSERT INTO ${rollup.log} (view, source, everything, wild) VALUES (${quoteLiteral(view)}, ${quoteLiteral(source)}, true, ${rollup.mask})`,
  );
}

/** Roles and databases whose sessions fire no triggers. */
export async function silentSessions({ sql }: Examination): Promise<Finding[]> {
  const settings = await jsonRows<{ whose: string; reset: string }>(
    sql,
    `SELECT concat_ws(' in ', quote_ident(r.rolname), quote_ident(d.datname)) AS whose,
       CASE WHEN r.oid IS NULL THEN 'ALTER DATABASE ' || quote_ident(d.datname)
            ELSE 'ALTER ROLE ' || quote_ident(r.rolname) || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END AS reset
     FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
     WHERE (s.setdatabase = 0 OR d.datname = current_database())
       AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE c = 'session_replication_role=replica') ORDER BY 1`,
  );
  return settings.map(({ whose, reset }) =>
    finding(
      'replica-role',
      whose,
      'Its sessions begin with session_replication_role = replica, in which no ordinary trigger fires: what they write is not marked. Reconcile the rollups and refresh the views after it.',
      [`${reset} RESET session_replication_role`],
    ),
  );
}
