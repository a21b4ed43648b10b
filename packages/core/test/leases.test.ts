import { FakeClock } from '@cachekit/core/testing';
import { expect, it } from 'vitest';
import { type Lease, Leases } from '../src/engine/steps/leases.ts';

const lease = (wire: string): Lease => ({ wire, token: 'token', dueAt: 0 });

it('prolongs each lease in its own time, for as long as it is held, and has one timer for all', async () => {
  const clock = new FakeClock();
  const prolonged: string[] = [];
  const leases = new Leases(clock, 100, ({ wire }) => prolonged.push(`${wire} ${clock.now() - began}`));
  const began = clock.now();
  const [first, second, third] = [lease('first'), lease('second'), lease('third')] as const;
  leases.hold(first);
  await clock.advance(30);
  leases.hold(second);
  await clock.advance(30);
  leases.hold(third);
  expect(clock.timers).toBe(1);
  leases.drop(second);
  await clock.advance(200);
  expect(prolonged).toEqual(['first 100', 'third 160', 'first 200', 'third 260']);
  expect(clock.timers).toBe(1);
  leases.drop(first);
  leases.drop(third);
  expect(clock.timers).toBe(0);
  await clock.advance(500);
  expect(prolonged).toHaveLength(4);
});
