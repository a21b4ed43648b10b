import type { TierClock } from '@cachekit/core';
import { formatPosition, type LogPosition } from '../position.ts';

/** The reserved types of frames. A client ignores those it does not know. */
export const frameType = {
  hello: 'ck.hello',
  gap: 'ck.gap',
  beat: 'ck.beat',
  bye: 'ck.bye',
} as const;

/** Why a listener may have missed something. */
export type StreamGapReason =
  /** The position it came with is of another log, of another tenant, or of a log that was lost. */
  | 'epoch'
  /** The position is none. */
  | 'position'
  /** The events are no longer kept. */
  | 'trimmed'
  /** There are more events than are replayed. */
  | 'limit'
  /** The source of the changes does not know what it missed, or a change could not be told. */
  | 'source';

/** One event, encoded once for every listener of the tenant. */
export interface Frame {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const encoder = new TextEncoder();

/** The frame of one event; `id` comes only with data, because not every client takes an id from a block without. */
export function eventFrame(position: LogPosition, type: string, body: string): Uint8Array {
  return encoder.encode(`id: ${formatPosition(position)}\nevent: ${type}\ndata: ${body}\n\n`);
}

/**
 * The first frame of a stream: from where it goes on (`offset`), where the log is (`head`), how often it beats.
 *
 * Its id is the position from which the stream goes on, so a connection that breaks before the first event resumes
 * there.
 */
export function helloFrame(
  start: LogPosition,
  head: number,
  heartbeatMs: number,
  retryMs: number,
): Uint8Array {
  const data = JSON.stringify({ epoch: start.epoch, offset: start.offset, head, heartbeatMs });
  return encoder.encode(
    `retry: ${retryMs}\nid: ${formatPosition(start)}\nevent: ${frameType.hello}\ndata: ${data}\n\n`,
  );
}

/** Tells a listener to treat everything as changed; the stream goes on from `position`. */
export function gapFrame(position: LogPosition, reason: StreamGapReason): Uint8Array {
  return eventFrame(position, frameType.gap, gapBody(reason));
}

/** The body of a gap, the same in a frame and in the log. */
export function gapBody(reason: StreamGapReason, clock?: TierClock): string {
  return JSON.stringify({ clock, data: { reason } });
}

/** A sign of life; a named event and no comment, so that a native `EventSource` sees it too. */
export const beatFrame: Uint8Array = encoder.encode(`event: ${frameType.beat}\ndata: {}\n\n`);

/** The last frame of a stream that the server ends; the listener comes back after `retryMs`. */
export function byeFrame(reason: string, retryMs: number): Uint8Array {
  const data = JSON.stringify({ reason, retryMs });
  return encoder.encode(`retry: ${retryMs}\nevent: ${frameType.bye}\ndata: ${data}\n\n`);
}

/** One chunk of many frames. */
export function joinFrames(frames: readonly Frame[]): Uint8Array {
  const [only] = frames;
  if (frames.length === 1 && only) return only.bytes;
  const chunk = new Uint8Array(frames.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
  let at = 0;
  for (const { bytes } of frames) {
    chunk.set(bytes, at);
    at += bytes.byteLength;
  }
  return chunk;
}
