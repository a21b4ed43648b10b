import type { LogPosition } from '../position.ts';
import type { Frame, StreamGapReason } from './frame.ts';

/** Where the bytes of one stream go. One that throws is aborted, which ends its stream and no other. */
export interface StreamSink {
  /** Queues a chunk; chunks are shared between streams and must not be written to. */
  write(chunk: Uint8Array): void;
  /** Bytes that may still be queued; 0 or less when the consumer is slower than the events. */
  readonly room: number;
  /** Ends the stream after what is queued. */
  end(): void;
  /** Ends the stream at once and throws away what is queued. */
  abort(): void;
}

/**
 * One stream to one listener: how far it has come, and whether it hears live events.
 *
 * While `live`, it is at the head of its room and every new frame is queued at once. Otherwise it is behind: only
 * its position is kept, and the room brings it up from the log as its consumer makes room.
 */
export interface Connection {
  position: LogPosition;
  live: boolean;
  /** Whether somebody brings it up right now. */
  catchingUp: boolean;
  closed: boolean;
  /** The room went on without what this connection lacks; it is told when it is brought up. */
  missed: StreamGapReason | undefined;
  /** Since when the consumer has taken nothing although something is queued; `undefined` when it takes. */
  stalledSince: number | undefined;
  /** When the authentication of the listener ends, milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  readonly sink: StreamSink;
}

/** Queues one frame and moves the connection's position to it. */
export function sendFrame(connection: Connection, frame: Frame): void {
  connection.sink.write(frame.bytes);
  connection.position = { epoch: connection.position.epoch, offset: frame.offset };
}
