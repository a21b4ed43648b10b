import { describe, expect, it } from 'vitest';
import { createRing } from '../src/hub/ring.ts';
import { upTo } from './collect.ts';

const frame = (offset: number, bytes = 10) => ({ offset, bytes: new Uint8Array(bytes) });
const frames = (from: number, to: number) => upTo(to - from + 1).map((n) => frame(from + n - 1));
const offsets = (found: readonly { offset: number }[] | undefined) => found?.map(({ offset }) => offset);

describe('the ring of frames', () => {
  it('gives what follows an offset, and nothing when a part of that is gone', () => {
    const ring = createRing(3, 1_000);
    expect(ring.after(0)).toBeUndefined();
    for (const each of frames(1, 5)) ring.push(each);
    expect(offsets(ring.after(2))).toEqual([3, 4, 5]);
    expect(offsets(ring.after(4))).toEqual([5]);
    expect(ring.after(1)).toBeUndefined();
  });

  it('holds a bounded number of bytes, however large one frame is', () => {
    const ring = createRing(100, 50);
    for (let offset = 1; offset <= 9; offset += 1) ring.push(frame(offset));
    expect(offsets(ring.after(4))).toEqual([5, 6, 7, 8, 9]);
    expect(ring.after(3)).toBeUndefined();
    ring.push(frame(10, 500));
    expect(ring.after(9)).toBeUndefined();
  });

  it('takes older frames in front only where they leave no hole', () => {
    const ring = createRing(10, 1_000);
    for (const each of frames(8, 9)) ring.push(each);
    ring.prepend(frames(3, 5), 9);
    expect(ring.after(2)).toBeUndefined();
    ring.prepend(frames(3, 8), 9);
    expect(ring.after(2)).toBeUndefined();
    ring.prepend(frames(3, 7), 9);
    expect(offsets(ring.after(2))).toEqual([3, 4, 5, 6, 7, 8, 9]);
  });

  it('takes frames when it is empty only if they end at the head', () => {
    const ring = createRing(3, 1_000);
    ring.prepend(frames(1, 5), 6);
    expect(ring.after(4)).toBeUndefined();
    ring.prepend(frames(1, 5), 5);
    expect(offsets(ring.after(2))).toEqual([3, 4, 5]);
    expect(ring.after(1)).toBeUndefined();
    ring.clear();
    expect(ring.after(4)).toBeUndefined();
  });
});
