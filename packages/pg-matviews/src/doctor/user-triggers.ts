import { jsonRows } from '../sql/json-rows.ts';
import { type Examination, schemaOfUsers } from './examination.ts';
import { type Finding, finding } from './finding.ts';

interface UserTrigger {
  readonly table: string;
  readonly trigger: string;
  readonly perRow: boolean;
  readonly refreshes: boolean;
}

/** Triggers of users that refresh a view in the writer's transaction, or NOTIFY for each row. */
export async function costlyTriggers({ sql }: Examination): Promise<Finding[]> {
  const triggers = await jsonRows<UserTrigger>(
    sql,
    `SELECT format('%I.%I', n.nspname, c.relname) AS table, format('%I', t.tgname) AS trigger,
       t.tgtype & 1 = 1 AS "perRow", p.prosrc ~* 'refresh\\s+materialized\\s+view' AS refreshes
     FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
     JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'D' AND ${schemaOfUsers}
       AND (p.prosrc ~* 'refresh\\s+materialized\\s+view' OR t.tgtype & 1 = 1 AND p.prosrc ~* '(\\mpg_notify\\s*\\(|\\mnotify\\s+\\w)')
       AND t.tgname NOT LIKE 'cachekit\\_%'
     ORDER BY 1, 2`,
  );
  return triggers.map(({ table, trigger, perRow, refreshes }) =>
    refreshes
      ? finding(
          'refresh-by-trigger',
          `${trigger} on ${table}`,
          `It refreshes a view ${perRow ? 'once per row, in' : 'in'} the transaction of the writer: each write costs the whole query of the view, writers wait for each other, and a statement that reads the view fails (55006). Name ${table} in the sources of the view instead.`,
          [`ALTER TABLE ${table} DISABLE TRIGGER ${trigger}`],
        )
      : finding(
          'notify-per-row',
          `${trigger} on ${table}`,
          'It sends a NOTIFY for each row. The commits of all transactions that notify wait for one lock of the server, and payloads that differ are never put together. A mark or an outbox tells the same without it.',
          [`ALTER TABLE ${table} DISABLE TRIGGER ${trigger}`],
        ),
  );
}
