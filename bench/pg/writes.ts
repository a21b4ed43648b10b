import pg from 'pg';
import { cpuUsOf } from '../runner/backend-cpu.ts';
import { type Figure, figure } from '../runner/figure.ts';
import { compare } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { takeTurns } from '../runner/take-turns.ts';
import { fill } from './calls.ts';
import { withExtension } from './extension.ts';
import type { Scale } from './scale.ts';

/** What marking costs those who write: CPU of their backend, bytes of WAL, commits of many. */
export async function writes(url: string, pool: pg.Pool, scale: Scale): Promise<Figure[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return [...(await backend(client, pool, scale)), await commits(url, scale)];
  } finally {
    await client.end();
  }
}

const insert = (table: string, users: number): string =>
  `insert into ${table} (user_id, start_time, status, duration, device_id)
   select 1 + ($1 + g) % ${users}, timestamptz '2026-02-01 12:00Z' + g * interval '1 hour', 'answered', 5, 1 from generate_series(1, $2::int) g`;

async function backend(client: pg.Client, pool: pg.Pool, scale: Scale): Promise<Figure[]> {
  const { rows: own } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = own[0]?.pid ?? 0;
  const tells = cpuUsOf(pid) !== undefined;
  let next = 0;
  const run = async (name: string, text: string, rows: number, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await client.query({ name, text, values: [1 + (next++ % 5_000), rows] });
  };
  const cpu = (name: string, text: string, rows: number, times: number) => async (): Promise<number> => {
    const before = cpuUsOf(pid) ?? 0;
    await run(name, text, rows, times);
    return ((cpuUsOf(pid) ?? 0) - before) / times / rows;
  };
  const inserting = (table: string, rows: number, times: number) =>
    cpu(`${table} ${rows}`, insert(table, scale.users), rows, times);
  const updating = (table: string, rows: number, times: number) =>
    cpu(
      `update ${table} ${rows}`,
      `update ${table} set duration = duration + 1 where id between 3 * $1::int and 3 * $1::int + $2::int - 1`,
      rows,
      times,
    );
  const figures: Figure[] = [];
  for (const [what, way, times, atMost] of tells
    ? ([
        ['INSERT of 1 row', (table: string) => inserting(table, 1, 300), 300, 1.6],
        ['INSERT of 100 rows of as many groups', (table: string) => inserting(table, 100, 20), 20, 1.25],
        ['UPDATE of 1 row', (table: string) => updating(table, 1, 300), 300, 2.5],
      ] as const)
    : []) {
    const ways = { ours: way('calls'), peer: way('bare_calls') };
    await takeTurns(ways, { rounds: 1 });
    const took = await takeTurns(ways, { rounds: times === 20 ? 15 : 9 });
    figures.push(
      figure(
        `${what} that marks to one without triggers, backend CPU us per row`,
        compare(took.get('ours') ?? [], took.get('peer') ?? []),
        { of: 'ratio', atMost },
      ),
    );
  }
  const wal = async (table: string): Promise<number> => {
    const at = async (): Promise<bigint> => {
      const { rows } = await client.query<{ at: string }>(
        `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text as at`,
      );
      return BigInt(rows[0]?.at ?? 0);
    };
    const before = await at();
    await run(`${table} 1`, insert(table, scale.users), 1, 500);
    return Number((await at()) - before) / 500;
  };
  const bytes = await takeTurns({ ours: () => wal('calls'), peer: () => wal('bare_calls') }, { rounds: 5 });
  figures.push(
    figure(
      'INSERT of 1 row that marks to one without triggers, bytes of WAL',
      compare(bytes.get('ours') ?? [], bytes.get('peer') ?? []),
      { of: 'ratio', atMost: 1.5 },
    ),
  );
  if (tells) figures.push(await besideIvm(pool, scale, inserting));
  return figures;
}

/** Incremental maintenance of sums and counts: all but the distinct devices, and without FILTER and `date_trunc`, which pg_ivm refuses. */
async function besideIvm(
  pool: pg.Pool,
  scale: Scale,
  inserting: (table: string, rows: number, times: number) => () => Promise<number>,
): Promise<Figure> {
  const available = await withExtension(pool, 'pg_ivm', []);
  if (available) await fill(pool, 'ivm_calls', scale, scale.users);
  // Its versions keep their functions in different schemas.
  const { rows: created } = await pool.query<{ create: string }>(
    `select pronamespace::regnamespace || '.create_immv' as create from pg_proc where proname = 'create_immv'`,
  );
  const there =
    available &&
    (await withExtension(pool, 'pg_ivm', [
      'alter table ivm_calls add column day date',
      `update ivm_calls set day = (start_time at time zone 'UTC')::date`,
      `select ${created[0]?.create}('ivm_per_day', $$select user_id, day, count(*) as total,
           sum((status = 'answered')::int) as answered, sum((status = 'failed')::int) as failed,
           sum(duration) as seconds, count(duration) as timed
         from ivm_calls group by user_id, day$$)`,
    ]));
  const ways = {
    ours: inserting('calls', 1, 100),
    ...(there ? { peer: inserting('ivm_calls', 1, 100) } : {}),
  };
  const took = await takeTurns(ways, { rounds: 5 });
  const ours = took.get('ours') ?? [];
  const peer = took.get('peer');
  return figure(
    'INSERT of 1 row that marks to one that pg_ivm maintains, backend CPU us',
    peer === undefined ? { ours: median(ours) } : compare(ours, peer),
    { of: 'ratio', atMost: 0.067 },
  );
}

/** 24 connections that insert one row after the other. */
async function commits(url: string, scale: Scale): Promise<Figure> {
  const pool = new pg.Pool({ connectionString: url, max: 24 });
  pool.on('error', () => {});
  const perSecond = (table: string) => async (): Promise<number> => {
    const began = performance.now();
    let done = 0;
    const lane = async (first: number): Promise<void> => {
      for (let i = first; performance.now() - began < 700; i++, done++) {
        await pool.query({ name: table, text: insert(table, scale.users), values: [i, 1] });
      }
    };
    await Promise.all(Array.from({ length: 24 }, (_, at) => lane(at * 7_919)));
    return (done * 1_000) / (performance.now() - began);
  };
  try {
    const ways = { ours: perSecond('calls'), peer: perSecond('bare_calls') };
    await takeTurns(ways, { rounds: 1 });
    const took = await takeTurns(ways, { rounds: 5 });
    return figure(
      'commits per second of 24 writers that mark to those that do not',
      compare(took.get('ours') ?? [], took.get('peer') ?? []),
      { of: 'ratio', atLeast: 0.7 },
    );
  } finally {
    await pool.end();
  }
}
