import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier } from '@cachekit/core/postgres';
import type { EtlRisk, EtlRun } from './events.ts';
import { type Fit, readFit } from './fit.ts';
import { readOutlook } from './horizon.ts';
import { mergeKeys } from './merge-keys.ts';
import { pageRows } from './pages.ts';
import { type EtlContext, turnOf } from './run.ts';
import { settle, snapshot } from './session.ts';
import { readSlot } from './slot/slot.ts';
import { storeCheck, storeRun } from './state.ts';

/** How closely two databases are compared: whether the same rows exist, or whether they hold the same. */
export type Depth = 'keys' | 'rows';

/** What a comparison found, and mended. */
export type CompareOutcome =
  | { readonly state: 'busy' }
  | {
      readonly state: 'done';
      readonly run: EtlRun;
      readonly risks: readonly EtlRisk[];
      readonly missing: number;
      readonly surplus: number;
      readonly different: number;
    };

/** How many keys that are whole numbers share a hash. */
const bucketKeys = 1_000;
/** Up to so many buckets are looked up rather than filtered. */
const fewBuckets = 100;

/**
 * Compares the remote relation with the local table by hashes of buckets of keys, then row by row in the buckets that
 * differ, and copies what differs. It finds what no watermark shows: deleted rows, and changes that left no date.
 */
export async function compare(context: EtlContext, depth: Depth): Promise<CompareOutcome> {
  const { etl, remote, local, clock, timeoutMs } = context;
  const beganAt = clock.now();
  return local.transaction(async (here): Promise<CompareOutcome> => {
    await settle(here, timeoutMs);
    const state = await turnOf(here, etl.name);
    if (state === undefined) return { state: 'busy' };
    const outlook = await readOutlook(remote, etl);
    // A slot that is not there is what a run has to tell.
    const slotRisks =
      etl.slot === undefined
        ? []
        : await readSlot(remote, etl.slot).then(
            ({ risks }) => risks,
            () => [],
          );
    return remote.transaction(async (there): Promise<CompareOutcome> => {
      await snapshot(there, timeoutMs);
      const fit = await readFit(there, here, etl, state.columns);
      const buckets = await differentBuckets(there, here, context, fit, depth);
      const [theirs, ours] = await Promise.all([
        hashesOf(there, etl.from, fit, depth, buckets),
        hashesOf(here, etl.to, fit, depth, buckets),
      ]);
      const missing = [...theirs.keys()].filter((key) => !ours.has(key));
      const surplus = [...ours.keys()].filter((key) => !theirs.has(key));
      const different = [...theirs].filter(([key, hash]) => ours.has(key) && ours.get(key) !== hash);
      const keys = [...missing, ...surplus, ...different.map(([key]) => key)];
      const total = { read: 0, inserted: 0, updated: 0, deleted: 0 };
      for (let start = 0; start < keys.length; start += pageRows) {
        const merged = await mergeKeys(there, here, etl, fit, keys.slice(start, start + pageRows));
        total.read += merged.read;
        total.inserted += merged.inserted;
        total.updated += merged.updated;
        total.deleted += merged.deleted;
      }
      const run: EtlRun = {
        etl: etl.name,
        kind: depth,
        ...total,
        durationMs: clock.now() - beganAt,
        complete: true,
      };
      await storeRun(here, run);
      await storeCheck(here, etl.name, depth);
      return {
        state: 'done',
        run,
        risks: [...fit.risks, ...outlook.risks, ...slotRisks],
        missing: missing.length,
        surplus: surplus.length,
        different: different.length,
      };
    });
  });
}

async function differentBuckets(
  there: SqlExecutor,
  here: SqlExecutor,
  { etl }: EtlContext,
  fit: Fit,
  depth: Depth,
): Promise<string[]> {
  const [theirs, ours] = await Promise.all([
    bucketsOf(there, etl.from, fit, depth),
    bucketsOf(here, etl.to, fit, depth),
  ]);
  const all = new Set([...theirs.keys(), ...ours.keys()]);
  return [...all].filter((bucket) => theirs.get(bucket) !== ours.get(bucket));
}

async function bucketsOf(
  sql: SqlExecutor,
  relation: string,
  fit: Fit,
  depth: Depth,
): Promise<Map<string, string>> {
  const { rows } = await sql.query<{ bucket: string; hash: string }>(
    depth === 'keys' && isWhole(fit)
      ? keySumsSql(relation, fit)
      : `SELECT bucket, count(*) || ':' || sum(('x' || substr(h, 1, 15))::bit(60)::bigint) AS hash
         FROM (SELECT ${bucketSql(fit)} AS bucket, ${hashSql(fit, depth)} AS h FROM ${relation} v) q GROUP BY bucket`,
  );
  return new Map(rows.map(({ bucket, hash }) => [bucket, hash]));
}

async function hashesOf(
  sql: SqlExecutor,
  relation: string,
  fit: Fit,
  depth: Depth,
  buckets: readonly string[],
): Promise<Map<string, string>> {
  if (buckets.length === 0) return new Map();
  const { rows } = await sql.query<{ k: string; h: string }>(
    `SELECT v.${quoteIdentifier(fit.key.name)}::text AS k, ${depth === 'keys' ? `''` : hashSql(fit, depth)} AS h FROM ${relation} v
     WHERE ${isWhole(fit) && buckets.length <= fewBuckets ? `$1::text[] IS NOT NULL AND (${rangesSql(fit, buckets)})` : `${bucketSql(fit)} = ANY($1::text[])`}`,
    [buckets],
  );
  return new Map(rows.map(({ k, h }) => [k, h]));
}

/**
 * Which whole numbers a bucket holds, told by how many they are, their sum, and the sum of a power of each that no few
 * others share; that costs a third of hashes of their text.
 */
function keySumsSql(relation: string, { key }: Fit): string {
  return `SELECT (k / ${bucketKeys})::text AS bucket, count(*) || ':' || sum(k) || ':' || sum(o * o * o * o * o % 2147483647) AS hash
    FROM (SELECT k, k % ${bucketKeys} + ${bucketKeys + 1} AS o FROM (SELECT v.${quoteIdentifier(key.name)}::bigint AS k FROM ${relation} v) q) p
    GROUP BY k / ${bucketKeys}`;
}

/** The buckets as ranges of keys, for which an index serves. The one around zero is of both signs. */
function rangesSql({ key }: Fit, buckets: readonly string[]): string {
  return buckets
    .map((bucket) => {
      const from = BigInt(bucket) * BigInt(bucketKeys);
      const rest = BigInt(bucketKeys - 1);
      return `v.${quoteIdentifier(key.name)} BETWEEN ${from > 0n ? from : from - rest} AND ${from < 0n ? from : from + rest}`;
    })
    .join(' OR ');
}

function isWhole({ key }: Fit): boolean {
  return ['smallint', 'integer', 'bigint'].includes(key.type);
}

function bucketSql(fit: Fit): string {
  const name = `v.${quoteIdentifier(fit.key.name)}`;
  return isWhole(fit) ? `(${name}::bigint / ${bucketKeys})::text` : `substr(md5(${name}::text), 1, 3)`;
}

/** Over the text of the values, so that it is the same where a column is wider in one of the databases. */
function hashSql({ key, columns }: Fit, depth: Depth): string {
  const compared = depth === 'keys' ? [key] : columns;
  return `md5(ROW(${compared.map(({ name }) => `v.${quoteIdentifier(name)}::text`).join(', ')})::text)`;
}
