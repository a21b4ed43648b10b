import type { Frame } from './frame.ts';

/** The newest frames of a room, numbered without a hole, for those who are only a little behind. */
export interface Ring {
  push(frame: Frame): void;
  /** Puts frames in front, if they end right before the first one held or right at `head` of an empty ring. */
  prepend(frames: readonly Frame[], head: number): void;
  /** The frames after `offset`, or `undefined` if the first of them is no longer held. */
  after(offset: number): readonly Frame[] | undefined;
  clear(): void;
}

/** Holds at most `count` frames and about `bytes` bytes. */
export function createRing(count: number, bytes: number): Ring {
  let frames: Frame[] = [];
  let size = 0;
  return {
    push(frame) {
      frames.push(frame);
      size += frame.bytes.byteLength;
      while (frames.length > count || (size > bytes && frames.length > 0)) {
        size -= (frames.shift() as Frame).bytes.byteLength;
      }
    },
    prepend(older, head) {
      const last = older.at(-1)?.offset;
      if (last === undefined || last !== (frames[0] ? frames[0].offset - 1 : head)) return;
      for (let i = older.length - 1; i >= 0; i -= 1) {
        const frame = older[i] as Frame;
        if (frames.length >= count || size + frame.bytes.byteLength > bytes) return;
        frames.unshift(frame);
        size += frame.bytes.byteLength;
      }
    },
    after(offset) {
      const first = frames[0]?.offset;
      return first === undefined || first > offset + 1 ? undefined : frames.slice(offset + 1 - first);
    },
    clear() {
      frames = [];
      size = 0;
    },
  };
}
