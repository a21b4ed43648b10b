import type { Clock, Timer } from '../ports/clock.ts';
import type { SqlExecutor } from '../ports/sql.ts';

/**
 * Runs `work` while a transaction is held open, and keeps telling the server that this process lives.
 *
 * The signal aborts when the transaction is found dead. Settles only after `work` has, so that no two run at once;
 * rejects with what killed the transaction, if anything did, before what `work` rejects with.
 */
export async function whileHeld(
  transaction: SqlExecutor,
  everyMs: number,
  clock: Clock,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  let timer: Timer | undefined;
  let beat: Promise<void> = Promise.resolve();
  const schedule = (): void => {
    timer = clock.setTimeout(() => {
      beat = transaction.query('select 1').then(
        () => {
          if (timer !== undefined) schedule();
        },
        (error) => controller.abort(error),
      );
    }, everyMs);
  };
  schedule();
  const failure = await work(controller.signal).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  clock.clearTimeout(timer);
  timer = undefined;
  await beat;
  if (controller.signal.aborted) throw controller.signal.reason;
  if (failure) throw failure.error;
}
