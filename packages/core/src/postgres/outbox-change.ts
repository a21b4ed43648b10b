import type { ChangedRow, ChangeEvent, ChangeOperation } from '../ports/change-source.ts';
import type { OutboxRow } from './cursor.ts';
import { parseJsonText } from './json-text.ts';

const operations: ReadonlySet<string> = new Set<ChangeOperation>(['insert', 'update', 'delete', 'refresh']);

/** Whether the row tells of one change; any other operation (`truncate`) means that everything may have changed. */
export function isChange(row: OutboxRow): row is OutboxRow & { operation: ChangeOperation } {
  return operations.has(row.operation);
}

/** The change an outbox row tells of. */
export function changeOf(row: OutboxRow): ChangeEvent {
  return {
    table: row.source,
    operation: row.operation as ChangeOperation,
    tenant: row.tenant ?? undefined,
    key: parseJsonText(row.key) as ChangedRow,
    ...(row.old !== null && { old: parseJsonText(row.old) as ChangedRow }),
    ...(row.new !== null && { new: parseJsonText(row.new) as ChangedRow }),
    ...(row.moved === true && { moved: true as const }),
    at: Number(row.atMs),
    sequence: row.seq,
  };
}
