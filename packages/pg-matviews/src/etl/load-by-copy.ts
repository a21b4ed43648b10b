import { quoteIdentifier } from '@cachekit/core/postgres';
import { batchBytes } from './batches.ts';
import type { CopyingTransaction } from './copying-executor.ts';
import type { CheckedEtl } from './definition.ts';
import type { Fit } from './fit.ts';
import { type Merged, mergeStaged } from './merge.ts';
import { rowsAfter } from './pages.ts';
import { binaryHeader, binaryTrailer, joined, TupleCutter, type Tuples } from './tuples.ts';

const staging = 'pg_temp.cachekit_staging';
/** Rows of one merge. */
const batchRows = 10_000;

/**
 * The first rows after a key by binary COPY: into a temporary table, and from there into the local one. What is no type
 * of PostgreSQL itself travels as text.
 */
export async function* loadByCopy(
  remote: CopyingTransaction,
  local: CopyingTransaction,
  etl: CheckedEtl,
  fit: Fit,
  from: string | undefined,
  limit: number,
): AsyncGenerator<{ keys: readonly string[]; merged: Merged }> {
  const columns = fit.sent.map(({ name, type, builtin }) => ({
    name: quoteIdentifier(name),
    type: builtin ? type : 'text',
  }));
  await local.query(`CREATE TEMP TABLE cachekit_staging (cachekit_key text,
    ${columns.map(({ name, type }) => `${name} ${type}`).join(', ')}) ON COMMIT DROP`);
  const select = columns.map(({ name, type }) => `v.${name}::${type}`).join(', ');
  const query = `SELECT v.${quoteIdentifier(fit.key.name)}::text, ${select} ${rowsAfter(etl, fit, from, limit)}`;
  const cutter = new TupleCutter();
  let waiting: Tuples[] = [];
  let rows = 0;
  let bytes = 0;
  for await (const chunks of remote.copyOut(`COPY (${query}) TO STDOUT (FORMAT binary)`)) {
    const tuples = cutter.cut(chunks);
    waiting.push(tuples);
    rows += tuples.keys.length;
    bytes += tuples.bytes.length;
    if (rows < batchRows && bytes < batchBytes) continue;
    yield await merge(local, etl, fit, waiting);
    waiting = [];
    rows = 0;
    bytes = 0;
  }
  if (rows > 0) yield await merge(local, etl, fit, waiting);
}

async function merge(
  local: CopyingTransaction,
  etl: CheckedEtl,
  fit: Fit,
  batch: readonly Tuples[],
): Promise<{ keys: readonly string[]; merged: Merged }> {
  await local.query(`TRUNCATE ${staging}`);
  const bytes = joined([binaryHeader, ...batch.map((tuples) => tuples.bytes), binaryTrailer]);
  await local.copyIn(`COPY ${staging} FROM STDIN (FORMAT binary)`, [bytes]);
  return { keys: batch.flatMap(({ keys }) => keys), merged: await mergeStaged(local, etl, fit, staging) };
}
