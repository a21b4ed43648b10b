import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createCache, isCacheKitError } from '../src/index.ts';
import { openTelemetryTraces } from '../src/node/index.ts';
import { memoryRemoteTier } from '../src/testing/index.ts';
import { devices, keys } from './keys.ts';

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
const tracer = provider.getTracer('test');

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterEach(() => exporter.reset());
afterAll(async () => {
  context.disable();
  await provider.shutdown();
});

/** What the real SDK recorded: each span with the names of those it is in. */
function recorded(): string[] {
  const spans = exporter.getFinishedSpans();
  const path = (span: (typeof spans)[number]): string => {
    const parent = spans.find((each) => each.spanContext().spanId === span.parentSpanContext?.spanId);
    return parent === undefined ? span.name : `${path(parent)} > ${span.name}`;
  };
  return spans.map(path).sort();
}

const inSpan = <T>(name: string, run: () => Promise<T>): Promise<T> =>
  tracer.startActiveSpan(name, async (span) => {
    try {
      return await run();
    } finally {
      span.end();
    }
  });
const query = (value: unknown) => () => inSpan('query', async () => value);

describe('openTelemetryTraces()', () => {
  test('a load is a span in that of its caller, and around its queries, whoever asks in the same tick', async () => {
    const cache = openTelemetryTraces(tracer, createCache({ remote: memoryRemoteTier() }));
    const ask = (tenant: string) =>
      inSpan(`request of ${tenant}`, () => cache.getOrLoad(keys.devices({ tenant }), query(tenant)));
    expect(await Promise.all([ask('ann'), ask('bob')])).toEqual(['ann', 'bob']);
    expect(recorded()).toEqual([
      'request of ann',
      'request of ann > load devices',
      'request of ann > load devices > query',
      'request of bob',
      'request of bob > load devices',
      'request of bob > load devices > query',
    ]);
    const load = exporter.getFinishedSpans().find(({ name }) => name === 'load devices');
    expect(load?.attributes).toEqual({ namespace: 'ck', resource: 'devices' });
    exporter.reset();
    expect(await cache.getOrLoad(devices, query(1))).toBe(1);
    expect(await cache.getOrLoad(devices, query(2))).toBe(1);
    expect(recorded()).toEqual(['load devices', 'load devices > query']);
    await cache.close();
  });

  test('every read that loads has its spans', async () => {
    const cache = openTelemetryTraces(tracer, createCache());
    const call = (limit: number) => keys.calls({ tenant: 'acme', limit });
    const count = async (ids: readonly number[]) => ids.map(() => 1);
    const reads: [() => Promise<unknown>, string[]][] = [
      [() => cache.read(devices, query(1)), ['load devices', 'load devices > query']],
      [() => cache.refresh(devices, query(1)), ['load devices', 'load devices > query']],
      [() => cache.readRaw(keys.kept({ tenant: 'acme' }), query(1)), ['load kept', 'load kept > query']],
      [() => cache.getManyOrLoad([1, 2], call, count), ['load calls']],
      [() => cache.warm({ ids: [3, 4], key: call, load: count }), ['load calls']],
      [() => cache.wrap(call, query(1))(5), ['load calls', 'load calls > query']],
      [
        () =>
          cache.getOrLoadVia(keys.slow({ tenant: 'acme' }), {
            find: async () => 6,
            key: (id) => call(id as number),
            load: query(1),
          }),
        ['load calls', 'load calls > query', 'load slow'],
      ],
    ];
    for (const [read, spans] of reads) {
      exporter.reset();
      await read();
      expect(recorded()).toEqual(spans);
      const many = exporter.getFinishedSpans().find(({ attributes }) => attributes.ids !== undefined);
      if (spans.length === 1) expect(many?.attributes).toMatchObject({ resource: 'calls', ids: 2 });
    }
    await cache.close();
  });

  test('a load that fails says so, and the caller has its error', async () => {
    const cache = openTelemetryTraces(tracer, createCache());
    const failure = new Error('no database');
    await expect(cache.getOrLoad(devices, () => Promise.reject(failure))).rejects.toBe(failure);
    const [span] = exporter.getFinishedSpans();
    expect(span?.status.code).toBe(2);
    expect(span?.events[0]?.attributes).toMatchObject({ 'exception.message': 'no database' });
  });

  test('is the cache in all else', async () => {
    const own = createCache({ namespace: 'ck' });
    const cache = openTelemetryTraces(tracer, own);
    await cache.set(devices, 1);
    expect([own.peek(devices), cache.peek(devices)]).toEqual([1, 1]);
    expect([cache.namespace, cache.enabled]).toEqual(['ck', true]);
    cache.switchOff();
    expect(own.enabled).toBe(false);
    // @ts-expect-error what is no loader
    const refused = expect(cache.getOrLoad(devices, 1)).rejects;
    await refused.toEqual(expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT')));
    await cache.close();
    await expect(own.get(devices)).rejects.toThrow();
    expect(recorded()).toEqual([]);
  });
});
