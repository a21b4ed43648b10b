import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Accuracy, bucketAccuracy, type Seen, strictAccuracy } from './accuracy.ts';
import type { TraceResult, TraceTask } from './trace-process.ts';
import { traceLimit, traces, traceWindowMs } from './traces.ts';

/** How the limiters did on all traces: the worst of each kind of error. */
export interface TraceAccuracy {
  readonly strict: Accuracy;
  readonly bucket: Accuracy;
  readonly counter: Accuracy;
}

/** Sends every trace from so many processes, whose clocks are off by turns to both sides. */
export async function runTraces(redisUrl: string, processes: number, skewMs: number): Promise<TraceAccuracy> {
  const namespace = `trace-${processes}-${skewMs}`;
  const children = Array.from({ length: processes }, (_, index) => {
    const skew = index % 2 === 0 ? skewMs : -skewMs;
    return startProcess({ redisUrl, namespace, skewMs: skew, index, of: processes });
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

function startProcess(task: TraceTask): { ready: Promise<void>; run(begin: number): Promise<TraceResult> } {
  const file = fileURLToPath(new URL('./trace-process.ts', import.meta.url));
  const child = fork(file, [JSON.stringify(task)], { execArgv: ['--conditions=@cachekit/source'] });
  const ready = Promise.withResolvers<void>();
  const result = Promise.withResolvers<TraceResult>();
  child.on('message', (message) => {
    if (message === 'ready') ready.resolve();
    else result.resolve(message as TraceResult);
  });
  const failed = (reason: unknown): void => {
    ready.reject(reason);
    result.reject(reason);
  };
  child.on('error', failed);
  child.on('exit', (code) => failed(new Error(`A process of the traces ended with ${code}`)));
  return {
    ready: ready.promise,
    run(begin) {
      child.send(begin);
      return result.promise;
    },
  };
}
