import { systemClock } from '@cachekit/core';
import { FakeClock } from '@cachekit/core/testing';
import { expect, it } from 'vitest';
import { DueQueue } from '../src/async/due-queue.ts';

interface Item {
  readonly name: string;
}

const item = (name: string): Item => ({ name });

it('says of each when its time is over, for as long as it is there, and has one timer for all', async () => {
  const clock = new FakeClock();
  const over: string[] = [];
  const queue: DueQueue<Item> = new DueQueue(clock, 100, (one) => {
    over.push(`${one.name} ${clock.now() - began}`);
    queue.add(one);
  });
  const began = clock.now();
  const [first, second, third] = [item('first'), item('second'), item('third')] as const;
  queue.add(first);
  await clock.advance(30);
  queue.add(second);
  await clock.advance(30);
  queue.add(third);
  expect(clock.timers).toBe(1);
  queue.delete(second);
  await clock.advance(200);
  expect(over).toEqual(['first 100', 'third 160', 'first 200', 'third 260']);
  expect(clock.timers).toBe(1);
  queue.delete(first);
  queue.delete(third);
  await clock.advance(500);
  expect(over).toHaveLength(4);
  expect(clock.timers).toBe(0);
});

it('sets no timer for one who comes while that of others who left runs', async () => {
  const clock = new FakeClock();
  const over: string[] = [];
  const queue: DueQueue<Item> = new DueQueue(clock, 100, (one) =>
    over.push(`${one.name} ${clock.now() - began}`),
  );
  const began = clock.now();
  for (let call = 0; call < 50; call++) {
    const one = item(`call ${call}`);
    queue.add(one);
    await clock.advance(1);
    expect(clock.timers).toBe(1);
    queue.delete(one);
    expect(clock.timers).toBe(1);
  }
  queue.add(item('late'));
  expect(clock.timers).toBe(1);
  await clock.advance(99);
  expect(over).toEqual([]);
  await clock.advance(1);
  expect(over).toEqual(['late 150']);
  expect(clock.timers).toBe(0);
});

it('tells nobody once it is cleared, and leaves no timer', async () => {
  const clock = new FakeClock();
  const over: string[] = [];
  const queue: DueQueue<Item> = new DueQueue(clock, 100, (one) => over.push(one.name));
  queue.add(item('left'));
  queue.clear();
  expect(clock.timers).toBe(0);
  await clock.advance(500);
  expect(over).toEqual([]);
  queue.add(item('new'));
  await clock.advance(100);
  expect(over).toEqual(['new']);
});

it('tells nobody early when the time of day is set while the timer of others runs', async () => {
  for (const jumpMs of [3_600_000, -3_600_000]) {
    const told = Promise.withResolvers<number>();
    const queue: DueQueue<Item> = new DueQueue(systemClock, 60, ({ name }) => {
      if (name === 'later') told.resolve(performance.now());
    });
    queue.add(item('first'));
    await new Promise((resolve) => setTimeout(resolve, 40));
    const begun = performance.now();
    queue.add(item('later'));
    const real = Date.now;
    Date.now = () => real() + jumpMs;
    try {
      expect((await told.promise) - begun).toBeGreaterThanOrEqual(58);
    } finally {
      Date.now = real;
    }
  }
});

it('those who leave while others are told, and those who come, have one timer', async () => {
  const clock = new FakeClock();
  const over: string[] = [];
  const queue: DueQueue<Item> = new DueQueue(clock, 100, (one) => {
    over.push(one.name);
    if (one === first) {
      queue.delete(second);
      queue.add(third);
    }
  });
  const [first, second, third] = [item('first'), item('second'), item('third')] as const;
  queue.add(first);
  await clock.advance(50);
  queue.add(second);
  await clock.advance(50);
  expect(over).toEqual(['first']);
  expect(clock.timers).toBe(1);
  await clock.advance(100);
  expect(over).toEqual(['first', 'third']);
  expect(clock.timers).toBe(0);
});

it('says it once where time is no whole number, and a clock that was set back delays none', () => {
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
    let times = 0;
    const queue: DueQueue<Item> = new DueQueue(clock, 5_000 / 3, (one) => {
      times++;
      if (times > 10) throw new Error('It never ends');
      queue.add(one);
    });
    now = 1_763_700_000_000 + start;
    queue.add(item('one'));
    now += 1_667;
    due?.();
    expect(times).toBe(1);
    now -= 3_600_000;
    due?.();
    expect(times).toBe(2);
  }
});
