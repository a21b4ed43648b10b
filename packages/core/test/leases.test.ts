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

it('prolongs each lease once where its time is no whole number, and a clock that was set back delays none', () => {
  // What the timer calls, by a clock that stands still meanwhile.
  let now = 1_763_700_000_001;
  let due: (() => void) | undefined;
  const clock = {
    now: () => now,
    setTimeout: (run: () => void) => {
      due = run;
      return 1;
    },
    clearTimeout: () => {},
  };
  for (let start = 0; start < 50; start++) {
    let prolonged = 0;
    const leases = new Leases(clock, 5_000 / 3, () => {
      prolonged++;
      if (prolonged > 10) throw new Error('It never ends');
    });
    now = 1_763_700_000_000 + start;
    leases.hold(lease('one'));
    now += 1_667;
    due?.();
    expect(prolonged).toBe(1);
    now -= 3_600_000;
    due?.();
    expect(prolonged).toBe(2);
  }
});
