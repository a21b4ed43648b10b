import { ArgumentError, LoadTimeoutError } from '../../errors.ts';
import type { LoadContext, Loader } from '../../loader.ts';
import type { Clock } from '../../ports/clock.ts';

/** Longest delay that timers of a platform take. */
const longestTimerMs = 0x7fff_ffff;

/**
 * Runs the loader once, for as long as it may take.
 *
 * A loader that goes on after it was given up is nobody's concern any more, its failure included.
 *
 * @throws LoadTimeoutError `LOAD_TIMEOUT` after `timeoutMs`; the reason of `controller` when it aborts; ArgumentError
 * `INVALID_ARGUMENT` for `undefined`; whatever the loader throws, unchanged.
 */
export function runLoader(
  loader: Loader<unknown>,
  context: LoadContext<unknown>,
  wire: string,
  controller: AbortController,
  timeoutMs: number,
  clock: Clock,
): Promise<unknown> {
  const { signal } = controller;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer =
      timeoutMs > longestTimerMs
        ? undefined
        : clock.setTimeout(() => controller.abort(new LoadTimeoutError(wire, timeoutMs)), timeoutMs);
    const settle = () => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
    };
    const aborted = () => {
      settle();
      reject(signal.reason);
    };
    signal.addEventListener('abort', aborted);
    callLoader(loader, context).then(
      (value) => {
        settle();
        if (value !== undefined) resolve(value);
        else reject(new ArgumentError(`The loader of "${wire}" gave undefined; null means "does not exist"`));
      },
      (error) => {
        settle();
        reject(error);
      },
    );
  });
}

async function callLoader(loader: Loader<unknown>, context: LoadContext<unknown>): Promise<unknown> {
  return await loader(context);
}
