import { type ChangeSource, isCacheKitError, type SqlExecutor, systemClock } from '@cachekit/core';
import {
  createListener,
  type OutboxSourceOptions,
  outboxSource,
  pgClientExecutor,
  pgExecutor,
  pruneOutbox,
} from '@cachekit/core/postgres';
import { createDatabase } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { committed, deferred, installWork, poolOf, Recorder, sorted } from './outbox-fixture.ts';

const database = useDatabase();
const deadline = { timeout: 20_000, interval: 10 };
let pool: pg.Pool;
let names = 0;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  pool = poolOf(database.url);
  await installWork(pool);
});
afterAll(() => pool.end());
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await pool.query('truncate work, cachekit.change; delete from cachekit.cursor; delete from cachekit.wake');
});

function source(options: Partial<OutboxSourceOptions> = {}): ChangeSource {
  names += 1;
  const made = outboxSource({
    sql: pgExecutor(pool),
    outbox: 'change',
    name: `consumer-${names}`,
    timing: { poll: 20 },
    ...options,
  });
  ends.push(() => made.stop());
  return made;
}

function listener() {
  const made = createListener({
    connect: () => new pg.Client({ connectionString: database.url, application_name: 'listener' }),
  });
  ends.push(() => made.close());
  return made;
}

async function client(): Promise<pg.PoolClient> {
  const made = await pool.connect();
  ends.push(async () => made.release(true));
  return made;
}

/** Never polls within a test: whatever arrives was told by a notification or by the protocol around it. */
const never = { poll: '1h' } as const;

describe('the cursor', () => {
  test('delivers every committed row once and each row in order, with 8 concurrent writers; seq > last loses some', async () => {
    const recorder = new Recorder();
    const watched = source({ listener: listener(), batchSize: 50 });
    await watched.start(recorder);
    await pool.query('insert into work select n, 0 from generate_series(1, 16) n');

    // What most outboxes do, in the same run: proof that the run would catch it.
    const naive: string[] = [];
    let writing = true;
    const reading = (async () => {
      let last = '0';
      for (let final = false; !final; ) {
        final = !writing;
        const { rows } = await pool.query('select seq from cachekit.change where seq > $1 order by seq', [
          last,
        ]);
        naive.push(...rows.map((row) => row.seq));
        last = rows.at(-1)?.seq ?? last;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();

    await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer, 60)));
    writing = false;
    await reading;

    const all = await committed(pool);
    await expect.poll(() => recorder.seen.length, deadline).toBeGreaterThanOrEqual(all.length);
    expect(sorted(recorder.seen)).toEqual(all);
    expect(naive.length).toBeLessThan(all.length);

    const counts = new Map<unknown, number>();
    for (const change of recorder.changes) {
      const { id } = change.key;
      expect(change.new?.n).toBe((counts.get(id) ?? -1) + 1);
      counts.set(id, Number(change.new?.n));
    }
    const { rows } = await pool.query('select id, n from work');
    for (const row of rows) expect(counts.get(row.id)).toBe(row.n);
  });

  test('is not stopped by a transaction that runs long elsewhere, and delivers that one when it ends', async () => {
    const long = await client();
    await long.query('begin');
    await long.query('insert into work values (1, 0)');
    const recorder = new Recorder();
    await source().start(recorder);
    for (let id = 2; id <= 40; id += 1) await pool.query('insert into work values ($1, 0)', [id]);
    await expect.poll(() => recorder.changes.length, deadline).toBe(39);
    const xmin = await pool.query(
      'select pg_snapshot_xmin(pg_current_snapshot())::text as xmin, pg_current_xact_id()::text as now',
    );
    expect(Number(xmin.rows[0].now) - Number(xmin.rows[0].xmin)).toBeGreaterThan(39);
    await long.query('commit');
    await expect.poll(() => recorder.changes.map((change) => change.key.id).includes(1), deadline).toBe(true);
    expect(recorder.changes).toHaveLength(40);
  });

  test('takes a large difference in pieces, goes on after a restart, and new commits come after it', async () => {
    const first = source({ name: 'pieces', batchSize: 10 });
    await first.start(new Recorder());
    await first.stop();
    await pool.query('insert into work select n, 0 from generate_series(1, 95) n');

    const recorder = new Recorder();
    const early = await client();
    await early.query('begin; insert into work values (1000, 0)');
    await pool.query('insert into work select n, 0 from generate_series(96, 105) n');
    const second = source({ name: 'pieces', batchSize: 10 });
    recorder.before = async () => {
      if (recorder.changes.length === 30) {
        // Commits below rows that were delivered, and above the target of the pieces.
        await early.query('commit');
        void second.stop();
      }
    };
    await second.start(recorder);
    await expect.poll(() => recorder.changes.length, deadline).toBe(40);
    await second.stop();
    await source({ name: 'pieces', batchSize: 10 }).start(recorder);
    await expect.poll(() => recorder.changes.length, deadline).toBe(106);
    expect(sorted(recorder.seen)).toEqual(await committed(pool));
    const ids = recorder.changes.map((change) => change.key.id);
    expect(ids.slice(0, 105)).toEqual(Array.from({ length: 105 }, (_, index) => index + 1));
    expect(ids[105]).toBe(1000);
  });

  test('begins with the present, and says "started" only if there was something before it', async () => {
    const quiet = new Recorder();
    await source({ name: 'quiet' }).start(quiet);
    await pool.query('insert into work values (1, 0)');
    await expect.poll(() => quiet.seen, deadline).toHaveLength(1);
    expect(quiet.seen).not.toContain('gap:started');

    const late = new Recorder();
    await source({ name: 'late' }).start(late);
    await expect.poll(() => late.seen, deadline).toEqual(['gap:started']);
    await pool.query('insert into work values (2, 0)');
    await expect.poll(() => late.changes.map((change) => change.key.id), deadline).toEqual([2]);
  });

  test('says "restored" in a copy of the database, and when its snapshot is from the future', async () => {
    const original = source({ name: 'restored' });
    await original.start(new Recorder());
    await original.stop();
    await pool.end();
    const copy = await createDatabase(inject('postgresUrl'), {
      template: new URL(database.url).pathname.slice(1),
    });
    pool = poolOf(copy.url);
    try {
      const recorder = new Recorder();
      const restored = source({ name: 'restored', sql: pgExecutor(pool) });
      await restored.start(recorder);
      await expect.poll(() => recorder.seen, deadline).toEqual(['gap:restored']);
      await pool.query('insert into work values (1, 0)');
      await expect.poll(() => recorder.changes.length, deadline).toBe(1);
      await restored.stop();

      await pool.query(
        "update cachekit.cursor set snapshot = '9000000000:9000000000:' where name = 'restored'",
      );
      await pool.query('insert into work values (2, 0)');
      await source({ name: 'restored', sql: pgExecutor(pool) }).start(recorder);
      await expect.poll(() => recorder.seen.at(-1), deadline).toBe('gap:restored');
      await pool.query('insert into work values (3, 0)');
      await expect.poll(() => recorder.changes.map((change) => change.key.id), deadline).toEqual([1, 3]);
      for (const end of ends.splice(0).reverse()) await end();
    } finally {
      await pool.end();
      await copy.drop();
      pool = poolOf(database.url);
    }
  });
});

describe('what is not needed any more', () => {
  test('is deleted by the source itself, also while it is never idle', async () => {
    // A minute of this clock is 30 ms.
    const clock = { ...systemClock, now: () => performance.now() * 2_000 };
    const recorder = new Recorder();
    await source({ clock, retention: { consumed: 0 } }).start(recorder);
    for (let id = 1; id <= 200; id += 1) await pool.query('insert into work values ($1, 0)', [id]);
    await expect.poll(() => recorder.changes.length, deadline).toBe(200);
    await expect.poll(() => committed(pool), deadline).toEqual([]);
  });

  test('and was removed before it was delivered is a gap, and what is left is delivered behind it', async () => {
    const recorder = new Recorder();
    const absent = source({ name: 'absent' });
    await absent.start(recorder);
    await absent.stop();
    await pool.query('insert into work values (1, 0)');
    await pool.query("update cachekit.change set at = now() - interval '8 days'");
    await pool.query('insert into work values (2, 0)');
    expect(await pruneOutbox(pgExecutor(pool), 'change')).toBe(1);
    await source({ name: 'absent' }).start(recorder);
    await expect.poll(() => recorder.seen.length, deadline).toBe(2);
    expect(recorder.seen[0]).toBe('gap:trimmed');
    expect(recorder.changes.map((change) => change.key.id)).toEqual([2]);
  });
});

describe('a batch', () => {
  test('whose sink rejects comes again, with nothing skipped and nothing out of order', async () => {
    const recorder = new Recorder();
    let failures = 0;
    recorder.before = async () => {
      if (failures < 3) {
        failures += 1;
        await pool.query('insert into work values ($1, 0)', [100 + failures]);
        throw new Error('the stage failed');
      }
    };
    const failing = source();
    await failing.start(recorder);
    await pool.query('insert into work values (1, 0)');
    await expect.poll(() => failing.lag().stalledBy, deadline).toBe('the stage failed');
    await expect
      .poll(() => recorder.changes.map((change) => change.key.id), deadline)
      .toEqual([1, 101, 102, 103]);
    await expect.poll(() => failing.lag(), deadline).toEqual({ delivered: 4, oldestMs: 0 });
    // The sink knows its own error; it is not told it as a failure of the source.
    expect(recorder.errors).toEqual([]);
  });

  test('whose transaction the server ends is aborted, told as a failure, and comes again', async () => {
    const recorder = new Recorder();
    let attempts = 0;
    let reason: unknown;
    recorder.before = async (_changes, signal) => {
      attempts += 1;
      if (attempts > 1) return;
      await pool.query(`select pg_terminate_backend(pid) from pg_locks
        where relation = 'cachekit.cursor'::regclass and mode = 'RowShareLock'`);
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
      reason = signal?.reason;
    };
    const held = source({ timing: { poll: 20, takeover: 300 } });
    await held.start(recorder);
    await pool.query('insert into work values (1, 0)');
    await expect.poll(() => attempts, deadline).toBe(2);
    await expect.poll(() => held.lag().delivered, deadline).toBe(1);
    expect(reason).toBeInstanceOf(Error);
    expect(recorder.errors.length).toBeGreaterThan(0);
    // At least once: the same change twice, told apart by its sequence.
    expect(new Set(recorder.seen).size).toBe(1);
  });

  test('holds the cursor however long its sink takes, and the lag shows it', async () => {
    const recorder = new Recorder();
    const release = deferred();
    recorder.before = () => release.promise;
    const slow = source({ name: 'slow', timing: { poll: 20, takeover: 700 } });
    await slow.start(recorder);
    const standby = new Recorder();
    const other = source({ name: 'slow', timing: { poll: 20, takeover: 700 } });
    standby.before = recorder.before;
    await other.start(standby);
    await pool.query('insert into work values (1, 0)');
    await expect
      .poll(() => [slow.lag().stalledBy, other.lag().stalledBy].sort(), deadline)
      .toEqual([
        expect.stringMatching(/^a batch that has been under way/),
        'another process that holds the cursor',
      ]);
    // Long after the server would have ended a transaction that nobody kept alive.
    await expect.poll(() => slow.lag().oldestMs, deadline).toBeGreaterThan(2_000);
    release.resolve();
    await expect.poll(() => recorder.seen.length + standby.seen.length, deadline).toBe(1);
    await expect.poll(() => slow.lag().delivered + other.lag().delivered, deadline).toBe(1);
  });

  test('that is under way ends before stop resolves', async () => {
    const recorder = new Recorder();
    const entered = deferred();
    const release = deferred();
    recorder.before = () => {
      entered.resolve();
      return release.promise;
    };
    const stopped = source();
    await stopped.start(recorder);
    await pool.query('insert into work values (1, 0)');
    await entered.promise;
    let done = false;
    const stopping = stopped.stop().then(() => {
      done = true;
    });
    await pool.query('select pg_sleep(0.05)');
    expect(done).toBe(false);
    release.resolve();
    await stopping;
    expect(recorder.seen).toHaveLength(1);
  });
});

describe('waking', () => {
  test('delivers without a poll, also after an idle time, and keeps silent while it reads anyway', async () => {
    const recorder = new Recorder();
    const sql = pgExecutor(pool);
    let statements = 0;
    const counting: SqlExecutor = {
      query: (text, parameters) => {
        statements += 1;
        return sql.query(text, parameters);
      },
      transaction: (run) => sql.transaction(run),
    };
    await source({ name: 'awake', sql: counting, listener: listener(), timing: never }).start(recorder);
    const heard: string[] = [];
    const ear = await client();
    ear.on('notification', (message) => heard.push(message.channel));
    await ear.query('listen cachekit_change');
    for (let id = 1; id <= 5; id += 1) {
      await expect.poll(armed, deadline).toBe(true);
      await pool.query('insert into work values ($1, 0)', [id]);
      await expect.poll(() => recorder.changes.length, deadline).toBe(id);
    }
    expect(heard.length).toBeGreaterThan(0);

    // Asleep, it asks the database nothing.
    let before = -1;
    await expect
      .poll(async () => {
        const quiet = statements === before;
        before = statements;
        await pool.query('select pg_sleep(0.3)');
        return quiet && statements === before;
      }, deadline)
      .toBe(true);

    // A sink that always finds more tells the writers to keep silent.
    let id = 100;
    recorder.before = async () => {
      if (id < 130) {
        id += 1;
        await pool.query('insert into work values ($1, 0)', [id]);
      }
    };
    await pool.query('insert into work values (100, 0)');
    await expect.poll(() => recorder.changes.length, deadline).toBe(36);
    await ear.query('select 1');
    expect(heard.length).toBeLessThan(5 + 31);
    await expect.poll(armed, deadline).toBe(true);
    expect(sorted(recorder.seen)).toEqual(await committed(pool));
  });

  test('never strands a change whose writer read the flag before it was set and commits after the last look', async () => {
    const recorder = new Recorder();
    const late = source({ name: 'late', listener: listener(), timing: never });
    const writer = await client();
    await writer.query('begin; insert into work values (1, 0)');
    await late.start(recorder);
    await expect.poll(armed, deadline).toBe(true);
    // Long after the arming: the looks right behind it have all come back empty.
    await pool.query('select pg_sleep(0.5)');
    await writer.query('commit');
    await expect.poll(() => recorder.changes.length, { timeout: 5_000 }).toBe(1);
  });

  test('never strands a change in 60 rounds of bursts and idle moments', async () => {
    const recorder = new Recorder();
    await source({ name: 'rounds', listener: listener(), timing: never }).start(recorder);
    for (let round = 1; round <= 60; round += 1) {
      await Promise.all(
        Array.from({ length: 3 }, async (_, writer) => {
          const connection = await pool.connect();
          await connection.query('begin');
          await connection.query('insert into work values ($1, 0)', [round * 3 + writer]);
          await connection.query('select pg_sleep($1)', [((round * 7 + writer * 5) % 30) / 1_000]);
          await connection.query('commit');
          connection.release();
        }),
      );
      await expect.poll(() => recorder.changes.length, { timeout: 5_000, interval: 2 }).toBe(round * 3);
    }
  });

  test('loses nothing while its LISTEN connection is terminated again and again', async () => {
    const recorder = new Recorder();
    await source({ name: 'terminated', listener: listener(), timing: never }).start(recorder);
    const total = 300;
    for (let id = 1; id <= total; id += 1) {
      if (id % 60 === 30) {
        await pool.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listener'",
        );
      }
      await pool.query('insert into work values ($1, 0)', [id]);
    }
    await expect.poll(() => recorder.changes.length, deadline).toBe(total);
    expect(sorted(recorder.seen)).toEqual(await committed(pool));
  });

  test('without a listener it polls and writers never notify', async () => {
    const recorder = new Recorder();
    await source({ name: 'polls' }).start(recorder);
    await pool.query('insert into work values (1, 0)');
    await expect.poll(() => recorder.changes.length, deadline).toBe(1);
    expect(await armed()).toBe(false);
  });
});

describe('bad input', () => {
  test.each([
    [{ outbox: 'Change' }, 'no name of an outbox'],
    [{ outbox: 'cursor' }, 'no name of an outbox'],
    [{ outbox: 'x; drop table work' }, 'no name of an outbox'],
    [{ batchSize: 0 }, 'batchSize'],
    [{ batchSize: 1.5 }, 'batchSize'],
    [{ name: '' }, 'name'],
    [{ timing: { poll: 0 } }, 'timing.poll'],
    [{ timing: { takeover: '5 parsecs' } }, 'timing.takeover'],
    [{ timing: { pol: 1 } }, 'unknown option "pol"'],
    [{ retention: { consumed: -1 } }, 'retention.consumed'],
    [{ sql: {} }, 'sql is an SqlExecutor'],
    [{ sql: pgClientExecutor(new pg.Client()) }, 'has one only'],
    [{ batch: 1 }, 'unknown option "batch"'],
  ])('refuses %j', (options, message) => {
    const make = (): ChangeSource => source(options as never);
    expect(make).toThrow(message);
    try {
      make();
    } catch (error) {
      expect(isCacheKitError(error, 'INVALID_CONFIGURATION')).toBe(true);
    }
  });

  test('an outbox that is not installed, a name of another consumer, and a second start are errors', async () => {
    await expect(source({ outbox: 'absent' }).start(new Recorder())).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('does not exist'),
    });
    const first = source({ name: 'taken' });
    await first.start(new Recorder());
    await expect(first.start(new Recorder())).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await pool.query('create table if not exists cachekit.other (like cachekit.change including all)');
    await expect(source({ name: 'taken', outbox: 'other' }).start(new Recorder())).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('reads the outbox "change"'),
    });
  });
});

async function armed(): Promise<boolean> {
  const { rows } = await pool.query('select from cachekit.wake where armed');
  return rows.length > 0;
}

/** Transactions of one writer: random rows, holds before the commit, savepoints, and some that roll back. */
async function write(writer: number, transactions: number): Promise<void> {
  const random = mulberry32(writer + 1);
  const connection = await pool.connect();
  try {
    for (let done = 0; done < transactions; done += 1) {
      const [first, second] = [1 + Math.floor(random() * 16), 1 + Math.floor(random() * 16)].sort(
        (a, b) => a - b,
      );
      await connection.query('begin');
      await connection.query('update work set n = n + 1 where id = $1', [first]);
      await connection.query('savepoint a');
      await connection.query('update work set n = n + 1 where id = $1', [second]);
      if (random() < 0.3) await connection.query('rollback to savepoint a');
      await new Promise((resolve) => setTimeout(resolve, random() * 5));
      await connection.query(random() < 0.2 ? 'rollback' : 'commit');
    }
  } finally {
    connection.release();
  }
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
