import { setTimeout as sleep } from 'node:timers/promises';
import type { SqlExecutor } from '@cachekit/core';
import type pg from 'pg';
import { beforeAll, expect, it } from 'vitest';
import type { Etl, EtlOptions } from '../../../src/etl/index.ts';
import { testDatabase } from '../database.ts';
import { copyOf, remoteSchema, sources } from './copy.ts';

const long = process.env.CACHEKIT_LONG === '1';
const durationMs = long ? 120_000 : 6_000;
const seed = Number(process.env.CACHEKIT_SEED ?? (long ? Date.now() % 1_000_000 : 1));

const remote = testDatabase(remoteSchema);
const local = testDatabase();

let state = seed;
/** Numbers in [0, 1): a linear congruential generator, enough to spread the writers. */
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 4_294_967_296;
}
const below = (limit: number): number => Math.floor(random() * limit);

const byXmin: EtlOptions['sources'] = Object.fromEntries(
  Object.entries(sources).map(([name, source]) => [name, { ...source, changed: 'xmin' as const }]),
);

/** The remote database, with one answer bent: what a copy would do that knew less. */
function bent(part: string, bend: (row: Record<string, string>) => Promise<void>): SqlExecutor {
  const wrap = (sql: SqlExecutor): SqlExecutor => ({
    async query<Row>(text: string, parameters?: readonly unknown[]) {
      const result = await sql.query<Row>(text, parameters);
      if (text.includes(part)) for (const row of result.rows) await bend(row as Record<string, string>);
      return result;
    },
    transaction: (run) => sql.transaction((transaction) => run(wrap(transaction))),
  });
  return wrap(remote.sql);
}

let nextTalk = 1_000;
async function writer(client: pg.Client, until: number): Promise<void> {
  while (Date.now() < until) {
    await client.query('begin');
    const writes = 1 + below(3);
    for (let i = 0; i < writes; i++) {
      const savepoint = random() < 0.4;
      if (savepoint) await client.query('savepoint s');
      const choice = random();
      // Half of the dates come from the clock of the application, as an ORM writes them.
      const at = random() < 0.5 ? new Date().toISOString() : 'now';
      if (choice < 0.3) {
        nextTalk += 1;
        await client.query(
          'insert into talks (id, contact_id, updated_at) values ($1, $2, $3::timestamptz at time zone $$UTC$$)',
          [nextTalk, 1 + below(10), at],
        );
      } else if (choice < 0.6) {
        await client.query(
          'insert into messages (talk_id, body, updated_at) values ($1, $2, $3::timestamptz)',
          [1 + below(60), 'hello', at],
        );
      } else if (choice < 0.95) {
        await client.query(
          `update talks set status = status + 1, updated_at = $2::timestamptz at time zone 'UTC'
           where id in (select id from talks where id = $1 for update skip locked)`,
          [1 + below(60), at],
        );
      } else {
        await client.query(
          `update contacts set name = name || '.', updated_at = $2::timestamptz at time zone 'UTC'
           where id in (select id from contacts where id = $1 for update skip locked)`,
          [1 + below(10), at],
        );
      }
      if (savepoint) await client.query(random() < 0.3 ? 'rollback to savepoint s' : 'release savepoint s');
      // The writer holds its transaction open; nothing waits for this to pass.
      if (random() < 0.3) await sleep(below(1_200));
    }
    await client.query(random() < 0.9 ? 'commit' : 'rollback');
  }
}

const copies = (): Record<string, { readonly etl: Etl; readonly table: string }> => ({
  watermark: made('watermark', {}),
  xmin: made('xmin', { sources: byXmin }),
  /** The date of the newest row that was seen: what most tools keep. */
  newest: made('newest', {
    remote: bent('FROM pg_stat_activity', async (row) => {
      const [max] = await remote.rows<{ at: string }>(
        `select to_char(greatest((select max(updated_at) from talks), (select max(updated_at) at time zone 'UTC' from messages))
           , 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
      );
      row.oldest = max?.at ?? '';
    }),
  }),
  /** The end of the snapshot in place of its oldest running transaction. */
  xmax: made('xmax', {
    sources: byXmin,
    remote: bent('pg_snapshot_xmin', async (row) => {
      row.xid = String(await remote.one<string>('select pg_snapshot_xmax(pg_current_snapshot())::text'));
    }),
  }),
});

function made(name: string, options: Partial<EtlOptions>): { etl: Etl; table: string } {
  const table = `copy_${name}`;
  return { etl: copyOf(remote, local, { name, to: table, skew: 50, ...options }), table };
}

interface Row {
  readonly id: number;
  readonly row: string;
}

async function wrongRows(table: string): Promise<number> {
  const select = (from: string): string =>
    `select id, row(status, contact, messages, bodies)::text as row from ${from}`;
  const ours = new Map((await local.rows<Row>(select(table))).map(({ id, row }) => [id, row]));
  return (await remote.rows<Row>(select('vw_talks'))).filter(({ id, row }) => ours.get(id) !== row).length;
}

beforeAll(async () => {
  await remote.pool.query(`insert into contacts select i, 'C' || i from generate_series(1, 10) i;
    insert into talks select i, 1 + i % 10 from generate_series(1, 60) i`);
});

it(
  `misses nothing and keeps nothing stale while six writers hold transactions and savepoints open, and the variants that are wrong are caught (CW-6, seed ${seed})`,
  async () => {
    const all = copies();
    for (const { etl } of Object.values(all)) {
      await etl.install();
      await etl.run();
    }
    const until = Date.now() + durationMs;
    const writers = Array.from({ length: 6 }, async () => writer(await remote.client(), until));
    const poll = async (etl: Etl): Promise<void> => {
      while (Date.now() < until + 500) {
        await etl.run();
      }
    };
    await Promise.all([...writers, ...Object.values(all).map(({ etl }) => poll(etl))]);
    const wrong: Record<string, number> = {};
    for (const [name, { etl, table }] of Object.entries(all)) {
      await etl.run();
      wrong[name] = await wrongRows(table);
    }
    expect(wrong.watermark).toBe(0);
    expect(wrong.xmin).toBe(0);
    expect(wrong.newest).toBeGreaterThan(0);
    expect(wrong.xmax).toBeGreaterThan(0);
  },
  durationMs + 60_000,
);
