import { type Clock, systemClock } from '@cachekit/core';
import { describe, expect, it } from 'vitest';
import { replyWithin } from '../src/executors/reply-within.ts';

/** A clock whose timers run when the test says so. */
class ManualClock implements Clock {
  readonly #timers = new Map<object, { run: () => void; delayMs: number }>();

  now(): number {
    return 0;
  }
  setTimeout(run: () => void, delayMs: number): object {
    const timer = {};
    this.#timers.set(timer, { run, delayMs });
    return timer;
  }
  clearTimeout(timer: object | undefined): void {
    if (timer !== undefined) this.#timers.delete(timer);
  }
  get delays(): number[] {
    return [...this.#timers.values()].map(({ delayMs }) => delayMs);
  }
  fire(): void {
    const due = [...this.#timers.values()];
    this.#timers.clear();
    for (const { run } of due) run();
  }
}

describe('replyWithin()', () => {
  it('passes results and errors on unchanged, and leaves no timer', async () => {
    const clock = new ManualClock();
    expect(await replyWithin(Promise.resolve('value'), 100, clock, 'PING')).toBe('value');
    const error = new TypeError('own');
    await expect(replyWithin(Promise.reject(error), 100, clock, 'PING')).rejects.toBe(error);
    expect(clock.delays).toEqual([]);
  });

  it('allows one more turn of the event loop before it gives up', async () => {
    const clock = new ManualClock();
    const { promise, resolve } = Promise.withResolvers<string>();
    const limited = replyWithin(promise, 100, clock, 'PING');
    expect(clock.delays).toEqual([100]);
    clock.fire();
    expect(clock.delays).toEqual([1]);
    resolve('just in time');
    expect(await limited).toBe('just in time');
    expect(clock.delays).toEqual([]);
  });

  it('gives up then', async () => {
    const clock = new ManualClock();
    const limited = replyWithin(new Promise(() => {}), 100, clock, 'PING');
    clock.fire();
    clock.fire();
    await expect(limited).rejects.toThrow('no reply within');
  });

  it('does not leave a late failure unhandled', async () => {
    const late = Promise.withResolvers<void>();
    await expect(replyWithin(late.promise, 1, systemClock, 'PING')).rejects.toThrow('no reply within');
    late.reject(new Error('nobody waits'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});
