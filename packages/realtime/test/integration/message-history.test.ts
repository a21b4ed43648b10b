import {
  type Cache,
  type ChangeEvent,
  createCache,
  createChangePipeline,
  defineKeys,
  invalidateStage,
  resource,
} from '@cachekit/core';
import { pgExecutor } from '@cachekit/core/postgres';
import { ioredisExecutor, redisTier } from '@cachekit/redis';
import { startRedis } from '@cachekit/services';
import { uniqueNamespace, useDatabase } from '@cachekit/services/vitest';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { changeSource, installCapture } from '../../src/postgres/index.ts';

const database = useDatabase();
const patience = { timeout: 20_000, interval: 10 };
const company = 'acme';
const chats = 60;
const ends: (() => Promise<unknown>)[] = [];

let pool: pg.Pool;
let redis: Awaited<ReturnType<typeof startRedis>>;

/** The newest messages of a chat since a day. */
interface History {
  chat: number;
  limit: number;
  fromDate: string;
}
const namespace = uniqueNamespace();
const keys = defineKeys({
  namespace,
  scope: 'tenant',
  resources: {
    messages: resource<string[], History>({ ttl: '5m', tags: ({ chat }) => [`chat:${chat}`] }),
  },
});

beforeAll(async () => {
  redis = await startRedis({ own: true });
  pool = new pg.Pool({ connectionString: database.url, max: 20 });
  pool.on('error', () => {});
  await pool.query(
    'create table messages (id serial primary key, company text, chat int, day date, body text)',
  );
  await pool.query(`insert into messages (company, chat, day, body)
    select '${company}', n % ${chats}, date '2026-01-01' + n % 10, 'message ' || n from generate_series(1, 3000) n`);
  await pool.query('create index on messages (company, chat, day)');
  await installCapture(pgExecutor(pool), {
    tables: { messages: { tenant: 'company', columns: ['chat'] } },
  });
});
afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await pool.end();
  await redis.stop();
});

/** One instance of the back end: it reads through its cache, and what was written drops what depends on it. */
async function instance() {
  const client = ioredisExecutor(new Redis(redis.url, { lazyConnect: true }), { commandTimeout: '5s' });
  const cache: Cache = createCache({
    namespace,
    remote: redisTier({ redis: client, namespace }),
  });
  const pipeline = createChangePipeline({
    sources: [changeSource({ sql: pgExecutor(pool), name: 'messages', timing: { poll: 20 } })],
    stages: [invalidateStage(cache, (change) => [keys.tag(change.tenant ?? '', `chat:${chatOf(change)}`)])],
  });
  await pipeline.start();
  ends.push(async () => {
    await pipeline.stop();
    await cache.close();
    await client.close();
  });
  const history = (params: History) =>
    cache.getOrLoad(keys.messages({ tenant: company, ...params }), () => read(params));
  return { cache, history };
}

const chatOf = ({ new: row, old }: ChangeEvent): unknown => (row ?? old)?.chat;

let queries = 0;
async function read({ chat, limit, fromDate }: History): Promise<string[]> {
  queries += 1;
  const { rows } = await pool.query(
    'select body from messages where company = $1 and chat = $2 and day >= $3 order by id desc limit $4',
    [company, chat, fromDate, limit],
  );
  return rows.map(({ body }) => body);
}

const write = (chat: number, body: string) =>
  pool.query("insert into messages (company, chat, day, body) values ($1, $2, '2026-01-09', $3)", [
    company,
    chat,
    body,
  ]);

it('CRM-2 a new message drops every cached page of its chat by itself, in every instance, and no other chat', async () => {
  const [one, two] = [await instance(), await instance()];
  const pages: History[] = [5, 20].flatMap((limit) =>
    ['2026-01-01', '2026-01-05'].map((fromDate) => ({ chat: 1, limit, fromDate })),
  );
  const other: History = { chat: 2, limit: 5, fromDate: '2026-01-01' };
  const readAll = ({ history }: typeof one) => Promise.all([...pages, other].map(history));
  const before = await readAll(one);
  expect(await readAll(two)).toEqual(before);

  await write(1, 'hello');
  for (const each of [one, two]) {
    await vi.waitFor(
      async () =>
        expect((await readAll(each)).map(([newest]) => newest)).toEqual([
          ...Array(4).fill('hello'),
          before[4]?.[0],
        ]),
      patience,
    );
  }
  const asked = queries;
  await Promise.all([readAll(one), readAll(two)]);
  expect(queries).toBe(asked);
});

it('CRM-8 on a realistic trace most reads do not ask PostgreSQL, and without Redis every read is still answered right', async () => {
  const instances = [await instance(), await instance()];
  for (const { cache } of instances) cache.resetMetrics();
  queries = 0;
  let reads = 0;
  const random = numbers(7);
  for (let round = 0; round < 150; round++) {
    await Promise.all(
      instances.map(({ history }) =>
        Promise.all(
          Array.from({ length: 10 }, () => {
            reads += 1;
            return history({ chat: popular(random()), limit: 20, fromDate: '2026-01-01' });
          }),
        ),
      ),
    );
    // One write for twenty reads: people write where they read.
    await write(popular(random()), `round ${round}`);
  }
  for (const { cache } of instances) expect(cache.metrics().cache.overall?.hitRate).toBeGreaterThan(70);
  expect(1 - queries / reads).toBeGreaterThan(0.6);

  await redis.kill('SIGKILL');
  await write(3, 'while Redis is down');
  for (const { history } of instances) {
    const answers = await Promise.all(
      Array.from({ length: chats }, (_, chat) => history({ chat, limit: 20, fromDate: '2026-01-01' })),
    );
    expect(answers).toHaveLength(chats);
    await vi.waitFor(
      async () =>
        expect((await history({ chat: 3, limit: 20, fromDate: '2026-01-01' }))[0]).toBe(
          'while Redis is down',
        ),
      patience,
    );
  }
});

/** Chats by Zipf's law: the first is asked for most. */
function popular(share: number): number {
  return Math.floor(chats ** share) - 1;
}

/** Numbers in `[0, 1)` that are the same in every run (Park and Miller). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
