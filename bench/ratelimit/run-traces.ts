import { fileURLToPath } from 'node:url';
import { startProcess } from '../runner/start-process.ts';
import { type Accuracy, bucketAccuracy, type Seen, strictAccuracy } from './accuracy.ts';
import type { TraceResult, TraceTask } from './trace-process.ts';
import { traceLimit, traces, traceWindowMs } from './traces.ts';

/** How the limiters did on all traces: the worst of each kind of error. */
export interface TraceAccuracy {
  readonly strict: Accuracy;
  readonly bucket: Accuracy;
  readonly counter: Accuracy;
}

const file = fileURLToPath(new URL('./trace-process.ts', import.meta.url));

/** Sends every trace from so many processes, whose clocks are off by turns to both sides. */
export async function runTraces(redisUrl: string, processes: number, skewMs: number): Promise<TraceAccuracy> {
  const namespace = `trace-${processes}-${skewMs}`;
  const children = Array.from({ length: processes }, (_, index) => {
    const skew = index % 2 === 0 ? skewMs : -skewMs;
    const task: TraceTask = { redisUrl, namespace, skewMs: skew, index, of: processes };
    return startProcess<TraceTask, TraceResult>(file, task);
  });
  await Promise.all(children.map(({ ready }) => ready));
  const begin = Date.now() + 200;
  const results = await Promise.all(children.map(({ run }) => run(begin)));
  const worst = (
    way: string,
    of: (seen: readonly Seen[], limit: number, windowMs: number) => Accuracy,
  ): Accuracy => {
    const each = Object.keys(traces).map((trace) =>
      of(
        results.flatMap((result) => result[way]?.[trace] ?? []),
        traceLimit,
        traceWindowMs,
      ),
    );
    return {
      wrongAllow: Math.max(...each.map(({ wrongAllow }) => wrongAllow)),
      wrongDeny: Math.max(...each.map(({ wrongDeny }) => wrongDeny)),
      most: Math.max(...each.map(({ most }) => most)),
    };
  };
  return {
    strict: worst('slidingWindow', strictAccuracy),
    bucket: worst('gcra', bucketAccuracy),
    counter: worst('raw INCR and EXPIRE', strictAccuracy),
  };
}
