import type { SqlExecutor } from '@cachekit/core';
import { quoteLiteral } from '@cachekit/core/postgres';
import { markingSql, marksCompletely } from '../migrate/marking.ts';
import type { Records } from '../migrate/records.ts';
import { logMark } from '../migrate/rollups.ts';
import { readSourceTable, type SourcePart, type SourceTable } from '../migrate/source-table.ts';
import { jsonRows } from '../sql/json-rows.ts';
import { type MarkRule, markEvents, markTriggerName } from '../sql/mark-trigger.ts';
import type { Examination } from './examination.ts';
import { type Finding, finding, together } from './finding.ts';

/** Tables and partitions whose writes should mark views and do not, and those whose writes mark for nothing. */
export async function deafTables({ sql, records }: Examination): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const source of [...new Set(records.sources.map((one) => one.source))].sort()) {
    const table = await readSourceTable(sql, source);
    if (table === undefined || marksCompletely(table)) continue;
    const rules = rulesOf(records, source);
    const mend = [together([...markingSql(table, rules), ...markEverything(source, rules)])];
    const views = rules.map(({ view }) => view).join(', ');
    const asleep = await sleepingTriggers(sql);
    for (const part of table.tables) {
      for (const [defect, reason] of faultsOf(part, asleep, table, views)) {
        findings.push(finding(defect, part.name, reason, mend));
      }
    }
    for (const name of table.detached) {
      const reason = `It was a part of ${source} and is none any more, but still has its triggers: each write to it has groups of ${views} computed again for nothing.`;
      findings.push(finding('trigger-left-over', name, reason, mend));
    }
  }
  return findings;
}

type Fault = readonly ['trigger-disabled' | 'trigger-missing' | 'subscription-unmarked', string];

function faultsOf(part: SourcePart, asleep: ReadonlySet<string>, table: SourceTable, views: string): Fault[] {
  const absent = markEvents.map(markTriggerName).filter((trigger) => !part.triggers.includes(trigger));
  const disabled = absent.filter((trigger) => asleep.has(`${part.name} ${trigger}`));
  const gone = absent.filter((trigger) => !disabled.includes(trigger));
  const faults: Fault[] = [];
  if (disabled.length > 0) {
    const reason = `${disabled.join(', ')} does not fire here, so what is written is not marked: ${views} keeps the old rows.`;
    faults.push(['trigger-disabled', reason]);
  }
  if (gone.length > 0) {
    const events = gone.map((trigger) => trigger.replace('cachekit_mark_', '')).join(', ');
    const where =
      part.name === table.name
        ? ''
        : ` It is a part of ${table.name}: writes through that mark, writes to it do not.`;
    const reason = `It has no trigger for ${events}, so such writes are not marked: ${views} keeps the old rows.${where}`;
    faults.push(['trigger-missing', reason]);
  }
  if (table.subscribed && !part.replicates) {
    const reason = `A logical-replication subscription writes to ${table.name}. What it applies fires no statement trigger, only row triggers that say so, and there is none: ${views} keeps the old rows.`;
    faults.push(['subscription-unmarked', reason]);
  }
  return faults;
}

/** Tables and triggers of CacheKit on them that do not fire in ordinary sessions. */
async function sleepingTriggers(sql: SqlExecutor): Promise<ReadonlySet<string>> {
  const asleep = await jsonRows<{ table: string; trigger: string }>(
    sql,
    `SELECT format('%I.%I', n.nspname, c.relname) AS table, t.tgname AS trigger
     FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.tgname LIKE 'cachekit\\_mark\\_%' AND t.tgenabled IN ('D', 'R')`,
  );
  return new Set(asleep.map(({ table, trigger }) => `${table} ${trigger}`));
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
