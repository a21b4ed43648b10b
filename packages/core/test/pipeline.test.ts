import {
  type ChangeBatch,
  type ChangeEvent,
  type ChangePipelineOptions,
  type ChangeSink,
  type ChangeSource,
  createChangePipeline,
  invalidateStage,
  isCacheKitError,
  type Stage,
} from '@cachekit/core';
import { expect, test } from 'vitest';

function change(sequence: number, table = 'calls'): ChangeEvent {
  return {
    table,
    operation: 'insert',
    tenant: 't',
    key: { id: sequence },
    at: Date.now(),
    sequence: String(sequence),
  };
}

/** A source that delivers what the test gives it; the outbox source is tested with PostgreSQL. */
class HandSource implements ChangeSource {
  readonly name: string;
  sink: ChangeSink | undefined;
  stopped = false;

  constructor(name = 'hand') {
    this.name = name;
  }

  async start(sink: ChangeSink): Promise<void> {
    this.sink = sink;
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }

  lag() {
    return { delivered: 0, oldestMs: 7 };
  }

  batch(changes: ChangeBatch, signal?: AbortSignal): Promise<void> {
    return this.sink?.batch(changes, signal) ?? Promise.reject(new Error('not started'));
  }
}

/** A cache that says when it invalidates, and takes its time. */
class SlowCache {
  readonly log: string[];
  clock = 100;
  fail: Error | undefined;

  constructor(log: string[]) {
    this.log = log;
  }

  async invalidateTags(...tags: string[]): Promise<number> {
    this.log.push(`invalidating ${tags.join()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.fail) throw this.fail;
    this.clock += 1;
    this.log.push(`invalidated ${tags.join()}`);
    return this.clock;
  }

  async clear(): Promise<number> {
    this.log.push('cleared');
    return 500;
  }
}

function setup(options: Partial<ChangePipelineOptions> = {}) {
  const log: string[] = [];
  const cache = new SlowCache(log);
  const source = new HandSource();
  const publish: Stage = async (batch, context) => {
    const what = context.gap ? `gap ${context.gap}` : batch.map((each) => each.sequence).join();
    log.push(`published ${what} at ${context.clock}`);
  };
  const pipeline = createChangePipeline({
    sources: [source],
    stages: [invalidateStage(cache, (each) => [`${each.tenant}:${each.table}`]), publish],
    ...options,
  });
  return { log, cache, source, pipeline, publish };
}

test('I1: nothing is published before it is invalidated, and the publisher has the clock of the invalidation', async () => {
  const { log, source, pipeline } = setup();
  await pipeline.start();
  await source.batch([change(1), change(2), change(3, 'devices')]);
  await source.batch([change(4)]);
  expect(log).toEqual([
    'invalidating t:calls,t:devices',
    'invalidated t:calls,t:devices',
    'published 1,2,3 at 101',
    'invalidating t:calls',
    'invalidated t:calls',
    'published 4 at 102',
  ]);
});

test('I1: what could not be invalidated is not published; the batch is refused with the error itself', async () => {
  const { log, cache, source, pipeline } = setup();
  const failures: unknown[] = [];
  pipeline.on('stageFailed', (event) => failures.push(event));
  await pipeline.start();
  const error = new Error('Redis is away');
  cache.fail = error;
  await expect(source.batch([change(1)])).rejects.toBe(error);
  await expect(source.batch([change(1)])).rejects.toBe(error);
  expect(log.filter((line) => line.startsWith('published'))).toEqual([]);
  expect(failures).toEqual([
    { source: 'hand', stage: 0, failures: 1, error },
    { source: 'hand', stage: 0, failures: 2, error },
  ]);
  cache.fail = undefined;
  await source.batch([change(1)]);
  expect(log.at(-1)).toBe('published 1 at 101');
});

test('I1: an invalidate stage behind another stage is refused', () => {
  const { cache, publish, source } = setup();
  const make = () =>
    createChangePipeline({ sources: [source], stages: [publish, invalidateStage(cache, () => [])] });
  expect(make).toThrow('comes before all others');
});

test('a gap invalidates everything, then goes to the publisher as an empty batch', async () => {
  const { log, source, pipeline } = setup();
  const gaps: unknown[] = [];
  pipeline.on('gap', (event) => gaps.push(event));
  await pipeline.start();
  await source.sink?.gap('trimmed');
  expect(log).toEqual(['cleared', 'published gap trimmed at 500']);
  expect(gaps).toEqual([{ source: 'hand', reason: 'trimmed' }]);
});

test('with several caches the batch has the latest of their clocks', async () => {
  const log: string[] = [];
  const [early, late] = [new SlowCache(log), new SlowCache(log)];
  late.clock = 900;
  const source = new HandSource();
  let clock: number | undefined;
  const pipeline = createChangePipeline({
    sources: [source],
    stages: [
      invalidateStage(late, () => ['a']),
      invalidateStage(early, () => ['a']),
      async (_batch, context) => {
        clock = context.clock;
      },
    ],
  });
  await pipeline.start();
  await source.batch([change(1)]);
  expect(clock).toBe(901);
});

test('changes that make nothing invalid are published without a clock', async () => {
  const { log, cache, source, publish } = setup();
  const pipeline = createChangePipeline({
    sources: [source],
    stages: [invalidateStage(cache, () => []), publish],
  });
  await pipeline.start();
  await source.batch([change(1)]);
  expect(log).toEqual(['published 1 at undefined']);
});

test('a throw in tagsOf, and one in a stage that is not async, refuse the batch', async () => {
  const source = new HandSource();
  const { cache } = setup();
  const wrong = new Error('no such column');
  const thrower = createChangePipeline({
    sources: [source],
    stages: [
      invalidateStage(cache, () => {
        throw wrong;
      }),
    ],
  });
  await thrower.start();
  await expect(source.batch([change(1)])).rejects.toBe(wrong);
  const synchronous = createChangePipeline({
    sources: [source],
    stages: [
      () => {
        throw wrong;
      },
    ],
  });
  await synchronous.start();
  await expect(source.batch([change(1)])).rejects.toBe(wrong);
});

test('a stage that outlasts its time fails the batch, and its signal aborts', async () => {
  let signal: AbortSignal | undefined;
  const { source, pipeline } = setup({
    timeout: 20,
    stages: [
      (_batch, context) => {
        signal = context.signal;
        return new Promise(() => {});
      },
    ],
  });
  await pipeline.start();
  await expect(source.batch([change(1)])).rejects.toThrow('The stage did not end within 20 ms');
  expect(signal?.aborted).toBe(true);
});

test('a batch that is taken away stops at once and runs no further stage', async () => {
  const controller = new AbortController();
  const reason = new Error('another process holds the cursor');
  let later = false;
  const { source, pipeline } = setup({
    stages: [
      () => new Promise(() => {}),
      async () => {
        later = true;
      },
    ],
  });
  await pipeline.start();
  const running = source.batch([change(1)], controller.signal);
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  await expect(source.batch([change(1)], controller.signal)).rejects.toBe(reason);
  expect(later).toBe(false);
});

test('sources do not wait for each other, and lag() tells of each', async () => {
  const log: string[] = [];
  const [slow, fast] = [new HandSource('slow'), new HandSource('fast')];
  let release = (): void => {};
  const pipeline = createChangePipeline({
    sources: [slow, fast],
    stages: [
      async (batch, context) => {
        if (context.source === 'slow') {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
        log.push(`${context.source} ${batch.length}`);
      },
    ],
  });
  await pipeline.start();
  const waiting = slow.batch([change(1)]);
  await fast.batch([change(2), change(3)]);
  release();
  await waiting;
  expect(log).toEqual(['fast 2', 'slow 1']);
  expect(pipeline.lag()).toEqual({
    slow: { delivered: 0, oldestMs: 7 },
    fast: { delivered: 0, oldestMs: 7 },
  });
});

test('a source that cannot start stops the others, and its error passes unchanged', async () => {
  const [good, bad] = [new HandSource('good'), new HandSource('bad')];
  const error = new Error('permission denied');
  bad.start = async () => {
    throw error;
  };
  const pipeline = createChangePipeline({ sources: [good, bad], stages: [async () => {}] });
  await expect(pipeline.start()).rejects.toBe(error);
  expect(good.stopped).toBe(true);
});

test('a source that cannot read is told as an event', async () => {
  const { source, pipeline } = setup();
  const seen: unknown[] = [];
  const listener = (event: unknown): void => void seen.push(event);
  pipeline.on('sourceFailed', listener);
  await pipeline.start();
  const error = new Error('connection refused');
  source.sink?.failed?.(error);
  pipeline.off('sourceFailed', listener);
  source.sink?.failed?.(error);
  expect(seen).toEqual([{ source: 'hand', error }]);
});

test('delivered tells how many changes and how old', async () => {
  const { source, pipeline } = setup();
  const seen: { changes: number; oldestMs: number }[] = [];
  pipeline.on('delivered', (event) => seen.push(event));
  await pipeline.start();
  await source.batch([{ ...change(1), at: Date.now() - 1_000 }, change(2)]);
  expect(seen[0]?.changes).toBe(2);
  expect(seen[0]?.oldestMs).toBeGreaterThanOrEqual(1_000);
});

test.each([
  [{ sources: [] }, 'at least one source'],
  [{ stages: [] }, 'at least one source and one stage'],
  [{ sources: [new HandSource('a'), new HandSource('a')] }, 'two sources are named "a"'],
  [{ timeout: 0 }, 'timeout is more than 0'],
  [{ timeout: 'soon' }, 'timeout'],
  [{ source: 1 }, 'unknown option "source"'],
])('refuses %j', (options, message) => {
  try {
    setup(options as never);
    expect.unreachable();
  } catch (error) {
    expect(isCacheKitError(error, 'INVALID_CONFIGURATION')).toBe(true);
    expect((error as Error).message).toContain(message);
  }
});

test('invalidateStage refuses what is no cache and what gives no tags', () => {
  expect(() => invalidateStage({} as never, () => [])).toThrow('is a cache');
  expect(() => invalidateStage(new SlowCache([]), 'calls' as never)).toThrow('gives the tags');
});

test('starting twice is an error', async () => {
  const { pipeline } = setup();
  await pipeline.start();
  await expect(pipeline.start()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
