import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import { jsonRows } from '../../sql/json-rows.ts';
import type { CheckedEtl } from '../definition.ts';
import { dropSlot, ensureSlot, SlotUnavailable } from './slot.ts';

/** A source as the remote database knows it. */
export interface SlotTable {
  readonly source: string;
  /** The table, and its partitions, as each of which its rows may be told. */
  readonly relations: readonly number[];
  /** The column whose values lead to keys, and its type. */
  readonly column: string;
  readonly type: string;
  /** Old rows are told with that column, in every partition, from now on. */
  readonly covered: boolean;
  /** Its entry in the publication; another one if it was taken out meanwhile. */
  readonly published: number | null;
  readonly inherited: boolean;
}

/**
 * The tables of the sources that are read from the slot.
 *
 * @throws SlotUnavailable if one is not there.
 */
async function slotTables(remote: SqlExecutor, etl: CheckedEtl): Promise<SlotTable[]> {
  const sources = etl.sources.filter(({ slot }) => slot);
  const tables = await jsonRows<SlotTable>(
    remote,
    `SELECT s.source, c.oid::bigint || ARRAY(SELECT relid::oid::bigint FROM pg_partition_tree(c.oid) WHERE isleaf) AS relations,
       a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
       NOT EXISTS (SELECT FROM (SELECT c.oid WHERE c.relkind <> 'p' UNION SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf) m (oid)
         JOIN pg_class r ON r.oid = m.oid LEFT JOIN pg_attribute k ON k.attrelid = r.oid AND k.attname = s.col
         WHERE NOT (r.relreplident = 'f' OR EXISTS (SELECT FROM pg_index x WHERE x.indrelid = r.oid
           AND k.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])
           AND (r.relreplident = 'd' AND x.indisprimary OR r.relreplident = 'i' AND x.indisreplident)))) AS covered,
       (SELECT t.oid::bigint FROM pg_publication p JOIN pg_publication_rel t ON t.prpubid = p.oid
         WHERE p.pubname = $1 AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND NOT p.pubviaroot
           AND t.prrelid = c.oid AND t.prqual IS NULL AND t.prattrs IS NULL) AS published,
       c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) AS inherited
     FROM unnest($2::text[], $3::text[], $4::text[]) s (source, tbl, col) JOIN pg_class c ON c.oid = to_regclass(s.tbl)
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.col AND a.attgenerated = ''
     ORDER BY s.source`,
    [
      etl.slot,
      sources.map(({ name }) => name),
      sources.map(({ table }) => table),
      sources.map(({ key, through }) => key ?? through?.id),
    ],
  );
  const missing = sources.find(({ name }) => !tables.some(({ source }) => source === name));
  if (missing !== undefined) {
    throw new SlotUnavailable(
      `The remote database has no ${missing.table} with a stored column "${missing.key ?? missing.through?.id}"`,
    );
  }
  const parent = tables.find(({ inherited }) => inherited);
  if (parent !== undefined) {
    throw new SlotUnavailable(
      `Tables inherit from ${parent.source} and are told as others; use changed: "xmin"`,
    );
  }
  return tables;
}

/**
 * The tables, all of them published.
 *
 * @throws SlotUnavailable if one is not.
 */
export async function publishedTables(remote: SqlExecutor, etl: CheckedEtl): Promise<SlotTable[]> {
  const tables = await slotTables(remote, etl);
  const silent = tables.filter(({ published }) => published === null);
  if (silent.length > 0) {
    throw new SlotUnavailable(
      `The publication "${etl.slot}" does not tell every change of ${silent.map(({ source }) => source).join(', ')}; call install()`,
    );
  }
  return tables;
}

/**
 * Makes the publication tell what the copy needs, then the slot. What an older slot told lacks the new tables, so it is
 * dropped and the copy made anew.
 *
 * @throws SlotUnavailable if old rows of a table would not be told with the column that leads to the keys: its updates and
 * deletes would be lost, or refused by the server if it has no identity at all.
 */
export async function installSlot(
  remote: SqlExecutor,
  etl: CheckedEtl,
  slot: string,
  timeoutMs: number,
): Promise<void> {
  const tables = await slotTables(remote, etl);
  for (const { source, column, covered } of tables) {
    if (covered) continue;
    throw new SlotUnavailable(
      `The replica identity of ${source}, or of a partition, does not hold "${column}"; ALTER TABLE ... REPLICA IDENTITY FULL`,
    );
  }
  if (tables.some(({ published }) => published === null)) {
    const list = etl.sources.filter((source) => source.slot).map(({ table }) => table);
    await dropSlot(remote, slot);
    await remote.transaction(async (transaction) => {
      await transaction.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(slot)}`);
      await transaction.query(
        `CREATE PUBLICATION ${quoteIdentifier(slot)} FOR TABLE ${[...new Set(list)].join(', ')}`,
      );
    });
  }
  await ensureSlot(remote, slot, timeoutMs);
}

/** Drops the slot, then the publication. */
export async function uninstallSlot(remote: SqlExecutor, slot: string): Promise<void> {
  await dropSlot(remote, slot);
  await remote.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(slot)}`);
}
