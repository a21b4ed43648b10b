import { copyingExecutor, createEtl } from '@cachekit/pg-matviews/etl';
import pg from 'pg';
import { type Figure, figure } from '../runner/figure.ts';
import { compare } from '../runner/measure.ts';
import { median } from '../runner/median.ts';
import { takeTurns } from '../runner/take-turns.ts';
import { timed } from './calls.ts';
import type { Scale } from './scale.ts';

const columns =
  'id, customer, account, kind, state, amount, taxes, name, note, attributes, created_at, updated_at';
const batchRows = 1_000;

/** Copying a table of twelve columns into another database beside INSERTs of a thousand rows. */
export async function etl(remoteUrl: string, localUrl: string, scale: Scale): Promise<Figure[]> {
  const remote = new pg.Pool({ connectionString: remoteUrl, max: 4 });
  const local = new pg.Pool({ connectionString: localUrl, max: 4 });
  for (const pool of [remote, local]) pool.on('error', () => {});
  const rows = Math.round(scale.rows / 5);
  try {
    await remote.query(`create table orders (id int primary key, customer int not null, account int not null, kind text not null, state text not null,
      amount numeric(12, 2) not null, taxes numeric(12, 2), name text, note text, attributes jsonb, created_at timestamptz not null, updated_at timestamptz not null)`);
    await remote.query(
      `insert into orders select g, g % 5000, g % 40, 'kind ' || g % 7, 'state ' || g % 5, g % 100000 / 100.0, null, 'Name of ' || g,
         repeat('note ', g % 9), jsonb_build_object('nr', g), timestamptz '2026-01-01' + g * interval '1 minute', timestamptz '2026-01-01' + g * interval '1 minute'
       from generate_series(1, $1::int) g`,
      [rows],
    );
    await remote.query('create index on orders (updated_at); analyze orders');
    await local.query(
      `create table by_hand (id int primary key, customer int, account int, kind text, state text, amount numeric(12, 2), taxes numeric(12, 2),
        name text, note text, attributes jsonb, created_at timestamptz, updated_at timestamptz)`,
    );
    let round = 0;
    const first: Record<string, number[]> = { ours: [], peer: [] };
    const changed: number[] = [];
    const ways = {
      ours: async (): Promise<number> => {
        const copy = createEtl({
          name: `orders_${++round}`,
          remote: copyingExecutor(remote),
          local: copyingExecutor(local),
          from: 'orders',
          to: `orders_${round}`,
          key: 'id',
          sources: { orders: { key: 'id', changed: { column: 'updated_at' } } },
          // All writers have one clock.
          skew: 1,
        });
        await copy.install();
        first.ours?.push(rows / (await timed(() => copy.run())));
        await change(remote, rows, round);
        changed.push(await timed(() => copy.run()));
        await remote.query('delete from orders where id = (select max(id) from orders)');
        const ms = await timed(() => copy.reconcile('keys'));
        await expectSame(remote, local, `orders_${round}`);
        await local.query(`drop table orders_${round}`);
        return ms;
      },
      peer: async (): Promise<number> => {
        await local.query('truncate by_hand');
        const ms = await timed(() => byHand(remote, local));
        first.peer?.push(rows / ms);
        return ms;
      },
    };
    const took = await takeTurns(ways, { rounds: 3 });
    return [
      figure(
        'rows of a first copy to INSERTs of 1,000 rows, thousands per second',
        compare(first.ours ?? [], first.peer ?? []),
        { of: 'ratio', atLeast: 3 },
      ),
      figure('copy of 1 % changed rows to INSERTs of all, ms', compare(changed, took.get('peer') ?? []), {
        of: 'ratio',
        atMost: 0.1,
      }),
      figure(
        'comparison that finds a deleted row, ms per 200,000 rows',
        { ours: (median(took.get('ours') ?? []) * 200_000) / rows },
        { of: 'ours', atMost: 100 },
      ),
    ];
  } finally {
    await Promise.all([remote.end(), local.end()]);
  }
}

/** One row in a hundred. */
async function change(remote: pg.Pool, rows: number, round: number): Promise<void> {
  await remote.query(
    `update orders set state = 'changed ' || $2::int, updated_at = clock_timestamp() where id in (select 1 + g * 100 from generate_series(0, $1::int / 100 - 1) g)`,
    [rows, round],
  );
}

/** What one would write by hand: pages by key, and one INSERT of many VALUES for each. */
async function byHand(remote: pg.Pool, local: pg.Pool): Promise<void> {
  const names = columns.split(', ');
  for (let after = 0; ; ) {
    const { rows } = await remote.query<Record<string, unknown>>(
      `select ${columns} from orders where id > $1 order by id limit ${batchRows}`,
      [after],
    );
    if (rows.length === 0) return;
    after = Number(rows.at(-1)?.id);
    const places = rows.map(
      (_, row) => `(${names.map((_, column) => `$${row * names.length + column + 1}`).join(', ')})`,
    );
    await local.query(
      `insert into by_hand (${columns}) values ${places.join(', ')}
       on conflict (id) do update set ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`,
      rows.flatMap((row) => names.map((name) => row[name])),
    );
  }
}

async function expectSame(remote: pg.Pool, local: pg.Pool, table: string): Promise<void> {
  const sums = await Promise.all(
    [
      [remote, 'orders'],
      [local, table],
    ].map(async ([pool, name]) => {
      const { rows } = await (pool as pg.Pool).query(
        `select count(*)::text || ' ' || sum(hashtext(row(${columns})::text))::text as sum from ${name}`,
      );
      return rows[0]?.sum as string;
    }),
  );
  if (sums[0] !== sums[1]) throw new Error(`${table} is not the same as orders`);
}
