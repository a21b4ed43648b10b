import { expect, it } from 'vitest';
import type { Frame } from '../src/hub/frame.ts';
import { createPastFrames } from '../src/hub/past-frames.ts';
import { createRing } from '../src/hub/ring.ts';
import type { LogRead } from '../src/log/event-log.ts';
import type { LogPosition } from '../src/position.ts';

/** A log whose answers come when the test says so, with one event that names the epoch it was read of. */
function heldLog() {
  const answers: (() => void)[] = [];
  const asked: string[] = [];
  const read = (from: LogPosition): Promise<LogRead> => {
    asked.push(from.epoch);
    return new Promise((resolve) => {
      const offset = from.offset + 1;
      const rows = [{ offset, type: 'x', body: `{"data":"of ${from.epoch}"}` }];
      answers.push(() => resolve({ state: 'rows', rows, top: { epoch: from.epoch, offset } }));
    });
  };
  return {
    asked,
    read,
    answer: () => {
      for (const each of answers.splice(0)) each();
    },
  };
}

const text = (frames: readonly Frame[] | string | undefined): string =>
  typeof frames === 'object'
    ? frames.map(({ bytes }) => new TextDecoder().decode(bytes)).join('')
    : String(frames);

it('those who are at the same place of the same log share one read, and nobody gets that of another log', async () => {
  const log = heldLog();
  const past = createPastFrames(createRing(10, 1_000), log.read, () => undefined);
  const reads = ['old', 'old', 'new'].map((epoch) => past.after({ epoch, offset: 5 }));
  log.answer();
  const [one, other, anew] = await Promise.all(reads);
  expect(log.asked).toEqual(['old', 'new']);
  expect([text(one), text(other)]).toEqual(Array(2).fill(expect.stringContaining('of old')));
  expect(text(anew)).toContain('of new');
});
