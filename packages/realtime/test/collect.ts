import { vi } from 'vitest';
import { createSseParser, type SseEvent } from '../src/client/sse-parse.ts';
import type { StreamSink } from '../src/hub/connection.ts';

/** A consumer of a stream that keeps what it gets; `room` can be taken away to make it slow. */
export interface CollectingSink extends StreamSink {
  readonly events: SseEvent[];
  /** The events that are not of the protocol: offset and data. */
  readonly received: () => { offset: number; data: unknown }[];
  readonly gaps: () => string[];
  readonly chunks: number;
  readonly bytes: number;
  readonly ended: boolean;
  readonly aborted: boolean;
  setRoom(bytes: number): void;
}

export function collectingSink(room = Number.POSITIVE_INFINITY): CollectingSink {
  const events: SseEvent[] = [];
  const decoder = new TextDecoder();
  const parse = createSseParser({ event: (event) => events.push(event), retry: () => {} });
  let left = room;
  let chunks = 0;
  let bytes = 0;
  let ended = false;
  let aborted = false;
  return {
    events,
    received: () => receivedOf(events),
    gaps: () =>
      events
        .filter(({ type }) => type === 'ck.gap')
        .map(({ data }) => JSON.parse(data).data.reason as string),
    get chunks() {
      return chunks;
    },
    get bytes() {
      return bytes;
    },
    get ended() {
      return ended;
    },
    get aborted() {
      return aborted;
    },
    setRoom(given) {
      left = given;
    },
    write(chunk) {
      if (ended) throw new Error('written after the end');
      chunks += 1;
      bytes += chunk.byteLength;
      left -= chunk.byteLength;
      parse(decoder.decode(chunk, { stream: true }));
    },
    get room() {
      return ended ? 0 : left;
    },
    end() {
      ended = true;
    },
    abort() {
      ended = true;
      aborted = true;
    },
  };
}

export function receivedOf(events: readonly SseEvent[]): { offset: number; data: unknown }[] {
  return events
    .filter(({ type }) => !type.startsWith('ck.'))
    .map(({ id, data }) => ({ offset: Number(id.split('.')[1]), data: JSON.parse(data).data }));
}

/** 1, 2, ..., n. */
export function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index + 1);
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Waits until `check` does not throw; long, because the machine may be busy with other things. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 25_000, interval: 5 });
}
