import type { CacheKey } from '@cachekit/core';
import { keys } from '../keys.ts';
import { createDigest } from '../legacy/digest.ts';
import type { StoryServer } from './server.ts';
import type { Table } from './table.ts';

const tenant = 't1';
const month = '2026-05';

/** Every read of an office with the key that it is cached by. */
const reads: readonly (readonly [path: string, key: CacheKey])[] = [
  ['settings', keys.settings({ tenant })],
  ['accounts', keys.accounts({ tenant })],
  ['transactions?page=2', keys.txns({ tenant, page: 2 })],
  ['customers', keys.customers({ tenant })],
  [`reconciliation?month=${month}`, keys.recon({ tenant, month })],
  [`kpis?month=${month}`, keys.kpis({ tenant, month })],
];

/**
 * Each read at two servers: what the cache said, and what it cost.
 *
 * @param customers - The system that has the customers, which tells how often it was asked.
 */
export async function readAtTwoServers(
  one: StoryServer,
  other: StoryServer,
  customers: { readonly asked: number },
): Promise<Table> {
  const rows: string[][] = [];
  for (const [path, { wire }] of reads) {
    const askedBefore = customers.asked;
    const first = await one.ask(`/api/${path}`, { tenant });
    const again = await one.ask(`/api/${path}`, { tenant });
    const elsewhere = await other.ask(`/api/${path}`, { tenant });
    const answers = [first, again, elsewhere];
    const [, maxAge = '', stale = ''] =
      /^private, max-age=(\d+), stale-while-revalidate=(\d+)$/.exec(
        first.headers.get('Cache-Control') ?? '',
      ) ?? [];
    rows.push([
      path,
      ...answers.map(({ cache }) => cache),
      answers.map(({ statements }) => statements).join(', '),
      String(customers.asked - askedBefore),
      maxAge,
      stale,
      wire,
    ]);
  }
  return {
    title:
      'What an office reads: a MISS asks PostgreSQL or the customer system, a HIT nobody, at any server (RC-3, RC-7)',
    head: [
      'GET /api/',
      'server A',
      'again',
      'server B',
      'statements',
      'customer system',
      'max-age',
      'stale-while-revalidate',
      'key in Redis',
    ],
    rows,
  };
}

/** A module that was written before there were typed keys reads what the routes have cached, and they what it has. */
export async function digestOverTheSameEntries({ desk, ask }: StoryServer): Promise<Table> {
  const digest = createDigest(desk);
  const rows: string[][] = [];
  const misses = (): number => desk.cache.metrics().cache.overall.misses;
  for (const office of ['t1', 't2']) {
    const before = misses();
    const text = await digest(office);
    const missed = misses() > before;
    const { cache } = await ask('/api/accounts', { tenant: office });
    rows.push([`tenant:${office}:accounts`, missed ? 'MISS' : 'HIT', text, cache]);
  }
  return {
    title:
      'An old module with keys as text shares the entries: of t1 the route had read, of t2 it had not (RC-2)',
    head: ['getCached(...)', 'it found', 'digest', 'then GET /api/accounts'],
    rows,
  };
}
