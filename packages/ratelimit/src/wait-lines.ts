import { ArgumentError, type Clock, stayAwake } from '@cachekit/core';
import type { Decision, LimitStatus } from './decision.ts';
import type { Reservation } from './reservation.ts';

/** Most who wait in one line; one more is asked about at once. */
const longestLine = 1_000;
/** A timer may fire up to a millisecond early. */
const timerSlackMs = 1;
/** What other processes gave back is seen after this. */
const askEveryMs = 5_000;
/** The same for slots, which others give back all the time. */
const askForSlotsEveryMs = 100;

interface Waiter {
  readonly ask: () => Promise<Reservation>;
  readonly maxWaitMs: number;
  until: number;
  /** It has left, or was told. */
  over: boolean;
  tell(decision: Decision): void;
  fail(error: unknown): void;
}

/** Those who wait for the same keys, the first of whom is being served. */
interface Line {
  readonly name: string;
  readonly keys: readonly string[];
  readonly waiters: Waiter[];
  /** Something has happened since the first asked. */
  rung: boolean;
  /** Ends the pause of the first. */
  endPause: (() => void) | undefined;
}

/**
 * Lines of those who wait for the same keys in this process: first come, first served.
 *
 * Only the first of a line asks, when its wait is over, so a long line costs no more than a short one. Whoever has
 * waited as long as it wanted to is asked about once more and leaves, wherever in the line it is.
 */
export class WaitLines {
  readonly #clock: Clock;
  readonly #lines = new Map<string, Line>();
  readonly #linesOf = new Map<string, Set<Line>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param ask - Takes, or says how long to wait. What it took for one who has left meanwhile is given back.
   * @returns The decision that allows, or the last that did not when `maxWaitMs` is over or would be.
   */
  async wait(
    keys: readonly string[],
    ask: () => Promise<Reservation>,
    maxWaitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Decision> {
    if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
      throw new ArgumentError('wait: signal: give an AbortSignal');
    }
    signal?.throwIfAborted();
    const name = keys.join(' ');
    const line = this.#lines.get(name);
    if (line !== undefined && line.waiters.length >= longestLine) return (await ask()).decision;
    // The process lives as long as somebody waits.
    const rest = stayAwake();
    try {
      return await new Promise((resolve, reject) => {
        this.#enter(name, keys, { ask, maxWaitMs, signal, resolve, reject });
      });
    } finally {
      rest();
    }
  }

  /** Something was given back to these keys: those who wait for them may pass earlier. */
  wake(keys: readonly string[]): void {
    if (this.#lines.size === 0) return;
    for (const key of keys) for (const line of this.#linesOf.get(key) ?? []) ring(line);
  }

  #enter(
    name: string,
    keys: readonly string[],
    wanted: {
      readonly ask: () => Promise<Reservation>;
      readonly maxWaitMs: number;
      readonly signal: AbortSignal | undefined;
      readonly resolve: (decision: Decision) => void;
      readonly reject: (error: unknown) => void;
    },
  ): void {
    const { ask, maxWaitMs, signal, resolve, reject } = wanted;
    const clock = this.#clock;
    const line = this.#lines.get(name) ?? this.#open(name, keys);
    const settle = (): void => {
      waiter.over = true;
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
    };
    const waiter: Waiter = {
      ask,
      maxWaitMs,
      until: clock.now() + maxWaitMs,
      over: false,
      tell(decision) {
        settle();
        resolve(decision);
      },
      fail(error) {
        settle();
        reject(error);
      },
    };
    const leave = (): void => {
      waiter.fail(signal?.reason);
      if (!drop(line, waiter)) ring(line);
    };
    signal?.addEventListener('abort', leave, { once: true });
    // The first knows by what it was told whether its time is over.
    const first = line.waiters.push(waiter) === 1;
    const timer = first
      ? undefined
      : clock.setTimeout(() => {
          if (drop(line, waiter)) askOnce(waiter).catch(waiter.fail);
        }, maxWaitMs);
    if (first) void this.#serve(line);
  }

  #open(name: string, keys: readonly string[]): Line {
    const line: Line = { name, keys, waiters: [], rung: false, endPause: undefined };
    this.#lines.set(name, line);
    for (const key of keys) this.#linesOf.set(key, (this.#linesOf.get(key) ?? new Set()).add(line));
    return line;
  }

  #close(line: Line): void {
    this.#lines.delete(line.name);
    for (const key of line.keys) {
      const lines = this.#linesOf.get(key);
      lines?.delete(line);
      if (lines?.size === 0) this.#linesOf.delete(key);
    }
  }

  async #serve(line: Line): Promise<void> {
    for (let waiter = line.waiters[0]; waiter !== undefined; waiter = line.waiters[0]) {
      try {
        await this.#serveOne(line, waiter);
      } catch (error) {
        waiter.fail(error);
      }
      line.waiters.shift();
    }
    this.#close(line);
  }

  async #serveOne(line: Line, waiter: Waiter): Promise<void> {
    while (!waiter.over) {
      line.rung = false;
      const decision = await asked(waiter);
      if (decision === undefined) return;
      const now = this.#clock.now();
      // Of a time of day that was set back since, it would wait for as long as the clock was ahead.
      waiter.until = Math.min(waiter.until, now + waiter.maxWaitMs);
      const leftMs = waiter.until - now;
      const leastMs = leastWait(decision);
      if (decision.allowed || leftMs <= 0 || leastMs > leftMs) {
        waiter.tell(decision);
        return;
      }
      const forSlotsMs = Math.min(askForSlotsEveryMs, leftMs, decision.retryAfterMs);
      const pauseMs = leastMs < decision.retryAfterMs ? Math.max(leastMs, forSlotsMs) : leastMs;
      await this.#pause(line, Math.min(pauseMs, askEveryMs) + timerSlackMs);
    }
  }

  async #pause(line: Line, ms: number): Promise<void> {
    if (line.rung) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, ms);
      line.endPause = () => {
        this.#clock.clearTimeout(timer);
        resolve();
      };
    });
    line.endPause = undefined;
  }
}

/** What is decided; nothing, and nothing is taken, for one who has left meanwhile. */
async function asked(waiter: Waiter): Promise<Decision | undefined> {
  const reservation = await waiter.ask();
  if (!waiter.over) return reservation.decision;
  // What cannot be given back stays taken.
  await reservation.cancel().catch(() => {});
  return undefined;
}

async function askOnce(waiter: Waiter): Promise<void> {
  const decision = await asked(waiter);
  if (decision !== undefined) waiter.tell(decision);
}

function ring(line: Line): void {
  line.rung = true;
  line.endPause?.();
}

/** Takes a waiter out; not the first, who is being served. */
function drop({ waiters }: Line, waiter: Waiter): boolean {
  const index = waiters.indexOf(waiter);
  if (index > 0) waiters.splice(index, 1);
  return index > 0;
}

/** How long the same request surely does not pass, for all that is known: a slot may be given back at any time. */
function leastWait({ violated, limits, retryAfterMs }: Decision): number {
  if (violated.length === 0) return retryAfterMs;
  let leastMs = 0;
  for (const name of violated) {
    const status = limits[name] as LimitStatus;
    const isSlot = status.unit !== undefined && status.blocked === undefined;
    if (!isSlot || status.retryAfterMs === Number.POSITIVE_INFINITY) {
      leastMs = Math.max(leastMs, status.retryAfterMs);
    }
  }
  return leastMs;
}
