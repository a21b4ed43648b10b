import type { Clock } from '@cachekit/core';
import type { LogRead, LogTail } from '../log/event-log.ts';
import type { LogPosition } from '../position.ts';
import { type Connection, sendFrame } from './connection.ts';
import { eventFrame, type Frame, frameType, gapFrame, joinFrames, type StreamGapReason } from './frame.ts';
import { createPastFrames } from './past-frames.ts';
import { createRing } from './ring.ts';
import type { Room, RoomContext } from './room.ts';

/** Frames held per tenant for streams that are a little behind. */
const ringFrames = 256;
/** Bytes of them. */
const ringBytes = 1_048_576;
/** Records asked of the log at once. */
const pageSize = 128;
/** Messages held while the log is read; beyond that the log is read once more instead. */
const maxWaiting = 1_024;
/** How long a log may take to let a room follow it. */
const openMs = 5_000;
/** After a failed read of the log. */
const retryMs = 500;

/** Makes the room; nothing happens before `open`. */
export function createRoom(tenant: string, context: RoomContext): Room {
  const { log, clock, counters, replay, queueBytes } = context;
  const connections = new Set<Connection>();
  const ring = createRing(ringFrames, ringBytes);
  let head: LogPosition | undefined;
  let waiting: LogTail[] = [];
  let flushing = false;
  let syncing: Promise<void> | undefined;
  let syncAgain = false;
  let retry: ReturnType<Clock['setTimeout']> | undefined;
  let followed: Promise<() => Promise<void>> | undefined;
  let closed = false;
  const past = createPastFrames(ring, readLog, () => head);

  function headNow(): LogPosition {
    return head as LogPosition;
  }

  function encode(epoch: string, offset: number, type: string, body: string): Frame {
    if (type === frameType.gap) counters.gaps += connections.size;
    return { offset, bytes: eventFrame({ epoch, offset }, type, body) };
  }

  /** The only place where the head moves on: ring, head and live connections in one turn. */
  function deliver(frames: readonly Frame[]): void {
    const [first] = frames;
    const last = frames.at(-1);
    if (!first || !last) return;
    head = { epoch: headNow().epoch, offset: last.offset };
    for (const frame of frames) ring.push(frame);
    const chunk = joinFrames(frames);
    const whole = chunk.byteLength <= queueBytes;
    for (const connection of connections) {
      if (!connection.live) continue;
      if (whole && connection.position.offset === first.offset - 1 && connection.sink.room > 0) {
        connection.sink.write(chunk);
        connection.position = head;
        counters.delivered += frames.length;
      } else {
        for (const frame of frames) {
          if (frame.offset <= connection.position.offset) continue;
          if (connection.sink.room <= 0) break;
          sendFrame(connection, frame);
          counters.delivered += 1;
        }
      }
      if (connection.sink.room <= 0) fallBehind(connection);
    }
  }

  function fallBehind(connection: Connection): void {
    connection.live = false;
    connection.stalledSince ??= clock.now();
  }

  /** Takes the messages in; what arrived in one turn leaves as one chunk. */
  function flush(): void {
    flushing = false;
    if (closed || syncing !== undefined || !head) return;
    const frames: Frame[] = [];
    let offset = head.offset;
    const messages = waiting;
    waiting = [];
    for (const tail of messages) {
      if (tail.epoch !== head.epoch || tail.first > offset + 1) {
        deliver(frames);
        void sync();
        return;
      }
      for (const { type, body } of tail.records.slice(offset + 1 - tail.first)) {
        offset += 1;
        frames.push(encode(head.epoch, offset, type, body));
      }
    }
    deliver(frames);
  }

  function appended(tail: LogTail): void {
    if (closed) return;
    if (waiting.length >= maxWaiting) {
      if (head && syncing === undefined) {
        flush();
      } else {
        // Whatever is thrown away here is read from the log.
        waiting = [];
        syncAgain = true;
      }
    }
    waiting.push(tail);
    if (flushing || syncing !== undefined) return;
    flushing = true;
    queueMicrotask(flush);
  }

  /** Reads the log from the head until nothing is left, then goes on with the messages that came meanwhile. */
  function sync(): Promise<void> {
    syncAgain = true;
    syncing ??= readOn().finally(() => {
      syncing = undefined;
      if (waiting.length > 0) flush();
    });
    return syncing;
  }

  async function readOn(): Promise<void> {
    clock.clearTimeout(retry);
    while (syncAgain && !closed && head) {
      syncAgain = false;
      try {
        await readToTop();
      } catch (error) {
        if (closed) return;
        context.onError(error);
        retry = clock.setTimeout(() => void sync(), retryMs);
        return;
      }
    }
  }

  async function readToTop(): Promise<void> {
    for (;;) {
      const from = headNow();
      const read = await readLog(from);
      if (closed) return;
      if (read.state === 'gap') return restart(read.top, read.reason);
      if (read.top.offset - from.offset > replay) return restart(read.top, 'limit');
      deliver(read.rows.map(({ offset, type, body }) => encode(from.epoch, offset, type, body)));
      if (headNow().offset >= read.top.offset) return;
    }
  }

  function readLog(from: LogPosition): Promise<LogRead> {
    counters.reads += 1;
    return log.readAfter(tenant, from, pageSize);
  }

  /** Goes on at `top` without what is in between; those behind hear of it when they are brought up. */
  function restart(top: LogPosition, reason: StreamGapReason): void {
    ring.clear();
    head = top;
    for (const connection of connections) {
      if (connection.live) gap(connection, reason);
      else connection.missed = reason;
    }
  }

  function gap(connection: Connection, reason: StreamGapReason): void {
    const position = headNow();
    connection.sink.write(gapFrame(position, reason));
    connection.position = position;
    connection.missed = undefined;
    counters.gaps += 1;
    if (connection.sink.room <= 0) fallBehind(connection);
  }

  async function replayTo(connection: Connection): Promise<void> {
    while (!connection.closed && !closed && connection.sink.room > 0) {
      const { epoch, offset } = headNow();
      const { position, missed } = connection;
      if (missed !== undefined || position.epoch !== epoch) {
        gap(connection, missed ?? 'epoch');
      } else if (position.offset >= offset) {
        connection.live = true;
        return;
      } else if (offset - position.offset > replay) {
        gap(connection, 'limit');
      } else {
        const frames = await past.after(position);
        if (connection.closed) return;
        if (typeof frames === 'string') {
          if (headNow().epoch === epoch) gap(connection, frames);
          continue;
        }
        for (const frame of frames) {
          if (connection.sink.room <= 0) break;
          sendFrame(connection, frame);
          counters.delivered += 1;
          counters.replayed += 1;
        }
      }
    }
    if (!connection.closed && connection.sink.room <= 0) connection.stalledSince ??= clock.now();
  }

  return {
    tenant,
    connections,
    head: headNow,
    async open() {
      followed = log.follow(tenant, {
        appended,
        restored: () => {
          if (head && !closed) void sync();
        },
      });
      // A subscription waits until the log can be reached; a question fails at once when it cannot.
      const ready = Promise.all([followed, log.position(tenant)]);
      head = await within(
        ready.then(() => log.position(tenant)),
        openMs,
        clock,
      );
      if (syncAgain) void sync();
      else flush();
    },
    async check() {
      if (!head || closed) return;
      const top = await log.position(tenant);
      if (!closed && (top.epoch !== head.epoch || top.offset !== head.offset)) await sync();
    },
    add(connection) {
      connections.add(connection);
    },
    remove(connection) {
      connections.delete(connection);
    },
    async catchUp(connection) {
      if (connection.live || connection.catchingUp || connection.closed || !head) return;
      connection.catchingUp = true;
      try {
        // Asked again because the consumer may have made room between the end of one replay and here.
        do await replayTo(connection);
        while (!connection.live && !connection.closed && !closed && connection.sink.room > 0);
      } catch (error) {
        context.onError(error);
        context.drop(connection);
      } finally {
        connection.catchingUp = false;
      }
    },
    gap,
    async close() {
      closed = true;
      clock.clearTimeout(retry);
      waiting = [];
      const ended = followed?.then((unfollow) => unfollow());
      // A log that cannot be reached may confirm the subscription much later; nobody waits for that.
      if (head) await ended;
      else ended?.catch(() => {});
    },
  };
}

function within<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(
      () => reject(new Error(`The event log did not answer within ${ms} ms`)),
      ms,
    );
    work.then(resolve, reject).finally(() => clock.clearTimeout(timer));
  });
}
