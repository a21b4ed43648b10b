import { createRateLimiter, gcra, redisStore, slidingWindow } from '@cachekit/ratelimit';
import { ioredisExecutor } from '@cachekit/redis';
import { Redis } from 'ioredis';
import { rawIncrExpire } from '../peers/raw-incr-expire.ts';
import type { Seen } from './accuracy.ts';
import { traceLimit, traces, traceWindowMs } from './traces.ts';

/** What one process of a trace is told. */
export interface TraceTask {
  readonly redisUrl: string;
  readonly namespace: string;
  /** How far the clock of this process is off. */
  readonly skewMs: number;
  /** It sends every `of`-th request, beginning with this one. */
  readonly index: number;
  readonly of: number;
}

/** What was seen, by limiter and trace. */
export type TraceResult = Record<string, Record<string, Seen[]>>;

const task = JSON.parse(process.argv[2] ?? '') as TraceTask;
const client = new Redis(task.redisUrl);
const redis = ioredisExecutor(client, { commandTimeout: '10s' });
const limiter = createRateLimiter({
  policies: {
    strict: slidingWindow({ limit: traceLimit, window: traceWindowMs }),
    bucket: gcra({ limit: traceLimit, window: traceWindowMs }),
  },
  store: redisStore({ redis, namespace: task.namespace }),
  timeout: '10s',
  onUnavailable: 'throw',
  clock: {
    now: () => Date.now() + task.skewMs,
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  },
});
const counter = rawIncrExpire(client, traceLimit, traceWindowMs);
const ways: Record<string, (trace: string) => Promise<boolean>> = {
  slidingWindow: async (trace) => (await limiter.consume({ strict: [trace] })).allowed,
  gcra: async (trace) => (await limiter.consume({ bucket: [trace] })).allowed,
  'raw INCR and EXPIRE': (trace) => counter(`${task.namespace}:${trace}`),
};

await limiter.consume({ strict: ['warm'], bucket: ['warm'] }, { tenant: 'warm' });
/** When all processes begin, by the clock of the machine. */
const begin = await new Promise<number>((resolve) => {
  process.once('message', (at) => resolve(at as number));
  process.send?.('ready');
});
const now = (): number => performance.timeOrigin + performance.now();
const result: TraceResult = {};
const requests: Promise<void>[] = [];
for (const [way, check] of Object.entries(ways)) {
  const ofWay: Record<string, Seen[]> = {};
  result[way] = ofWay;
  for (const [trace, offsets] of Object.entries(traces)) {
    const seen: Seen[] = [];
    ofWay[trace] = seen;
    for (const [i, offset] of offsets.entries()) {
      if (i % task.of !== task.index) continue;
      requests.push(
        (async () => {
          await new Promise((resolve) => setTimeout(resolve, Math.max(0, begin + offset - now())));
          const sent = now();
          const allowed = await check(trace);
          seen.push({ sent, answered: now(), allowed });
        })(),
      );
    }
  }
}
await Promise.all(requests);
process.send?.(result);
await redis.close();
client.disconnect();
process.disconnect?.();
