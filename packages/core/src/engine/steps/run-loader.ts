import type { Cancellation } from '../../async/cancellation.ts';
import type { LoadContext, Loader } from '../../cache/loader.ts';
import { ArgumentError, LoadTimeoutError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/** Longest delay that timers of a platform take. */
const longestTimerMs = 0x7fff_ffff;

/**
 * Runs the loader once, for as long as it may take.
 *
 * A loader that goes on after it was given up is nobody's concern any more, its failure included.
 *
 * @throws LoadTimeoutError `LOAD_TIMEOUT` after `timeoutMs`; the reason of `cancellation` when it aborts; ArgumentError
 * `INVALID_ARGUMENT` for `undefined`; whatever the loader throws, unchanged.
 */
export function runLoader(
  loader: Loader<unknown>,
  context: LoadContext<unknown>,
  wire: string,
  cancellation: Cancellation,
  timeoutMs: number,
  clock: Clock,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (cancellation.aborted) return reject(cancellation.reason);
    const timer =
      timeoutMs > longestTimerMs
        ? undefined
        : clock.setTimeout(() => cancellation.abort(new LoadTimeoutError(wire, timeoutMs)), timeoutMs);
    const settle = () => {
      clock.clearTimeout(timer);
      cancellation.onAbort = undefined;
    };
    cancellation.onAbort = () => {
      settle();
      reject(cancellation.reason);
    };
    let loading: Promise<unknown>;
    try {
      loading = Promise.resolve(loader(context));
    } catch (error) {
      loading = Promise.reject(error);
    }
    loading.then(
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
