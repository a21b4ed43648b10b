import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import { Breaker } from '../src/stores/breaker.ts';

function breaker() {
  const clock = new FakeClock();
  const probes: { resolve(): void; reject(): void }[] = [];
  const changes: boolean[] = [];
  const made = new Breaker(
    clock,
    () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      probes.push({ resolve, reject });
      return promise;
    },
    (closed) => changes.push(closed),
  );
  return { clock, probes, changes, breaker: made };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the breaker', () => {
  test('opens after five failures in a row, and an answer in between begins anew', () => {
    const { breaker: each, changes } = breaker();
    each.failed(4, 'k');
    each.succeeded();
    each.failed(4, 'k');
    expect(each.allows('k')).toBe(true);
    each.failed(1, 'k');
    expect(each.allows('k')).toBe(false);
    expect(changes).toEqual([false]);
  });

  test('half-open: one probe at a time, at once and then every 250 ms, while checks are refused', async () => {
    const { breaker: each, clock, probes, changes } = breaker();
    each.failed(5, 'k');
    expect(probes.length).toBe(1);
    await clock.advance(1_000);
    expect(each.allows('k')).toBe(false);
    expect(probes.length).toBe(1);
    probes[0]?.reject();
    await turn();
    expect(each.allows('k')).toBe(false);
    expect(probes.length).toBe(2);
    probes[1]?.reject();
    await turn();
    await clock.advance(249);
    expect(each.allows('k')).toBe(false);
    expect(probes.length).toBe(2);
    await clock.advance(1);
    expect(each.allows('k')).toBe(false);
    expect(probes.length).toBe(3);
    probes[2]?.resolve();
    await turn();
    expect(each.allows('k')).toBe(true);
    expect(changes).toEqual([false, true]);
  });

  test('a clock that is set back does not keep it open', async () => {
    const { breaker: each, clock, probes } = breaker();
    each.failed(5, 'k');
    probes[0]?.reject();
    await turn();
    await clock.advance(-3_600_000);
    expect(each.allows('k')).toBe(false);
    expect(probes.length).toBe(2);
  });
});
