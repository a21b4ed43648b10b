import type { SqlExecutor, SqlListener } from '@cachekit/core';
import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import { createRefresher, defineView } from '../src/index.ts';

const views = [defineView({ name: 'stored', kind: 'materialized', query: 'select 1 as one' })];
const away = new Error('no database');

/** A database that is away but for what tells whether a listener hears, and what it was asked. */
function database(hold: Promise<void> = Promise.resolve()): { sql: SqlExecutor; asked: string[] } {
  const asked: string[] = [];
  const query = async (text: string) => {
    asked.push(text);
    await hold;
    if (text.includes('pg_notify')) return { rows: [], rowCount: 0 };
    throw away;
  };
  return { sql: { query, transaction: () => Promise.reject(away) }, asked };
}

const deaf: SqlListener = {
  listen: async () => async () => undefined,
  onState: () => () => undefined,
  close: async () => undefined,
};

describe('stop()', () => {
  test('during start(): nothing begins any more', async () => {
    const clock = new FakeClock();
    const held = Promise.withResolvers<void>();
    const { sql, asked } = database(held.promise);
    const refresher = createRefresher({ sql, views, clock });
    const starting = refresher.start();
    const stopping = refresher.stop();
    held.resolve();
    await Promise.all([starting, stopping]);
    asked.length = 0;
    await clock.advance(60_000);
    expect(asked).toEqual([]);
    await refresher.start();
    await refresher.stop();
    expect(asked).not.toEqual([]);
  });

  test('while it finds out whether the listener hears: the database is asked no more', async () => {
    const clock = new FakeClock();
    const { sql, asked } = database();
    const errors: unknown[] = [];
    const refresher = createRefresher({ sql, views, clock, listener: deaf });
    await refresher.start();
    await clock.advance(1);
    expect(asked.some((text) => text.includes('pg_notify'))).toBe(true);
    await refresher.stop();
    refresher.on('error', ({ error }) => errors.push(error));
    asked.length = 0;
    await clock.advance(60_000);
    expect(asked).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('while the listener connects: that it is closed then is no error', async () => {
    const clock = new FakeClock();
    const connecting = Promise.withResolvers<() => Promise<void>>();
    const errors: unknown[] = [];
    const listener = { ...deaf, listen: () => connecting.promise };
    const refresher = createRefresher({ sql: database().sql, views, clock, listener });
    await refresher.start();
    await refresher.stop();
    refresher.on('error', ({ error }) => errors.push(error));
    connecting.reject(new Error('The listener was closed'));
    await clock.advance(60_000);
    expect(errors).toEqual([]);
  });
});
