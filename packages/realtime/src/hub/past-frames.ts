import type { LogRead } from '../log/event-log.ts';
import { formatPosition, type LogPosition } from '../position.ts';
import { eventFrame, type Frame, type StreamGapReason } from './frame.ts';
import type { Ring } from './ring.ts';

/** What streams that are behind have missed. */
export interface PastFrames {
  /** Frames after `position` from the ring, else from the log; or why there are none. */
  after(position: LogPosition): Promise<readonly Frame[] | StreamGapReason>;
}

/**
 * Those who ask for the same share one read of the log.
 *
 * @param readLog - Reads a page of the log.
 * @param head - Where the room is now.
 */
export function createPastFrames(
  ring: Ring,
  readLog: (from: LogPosition) => Promise<LogRead>,
  head: () => LogPosition | undefined,
): PastFrames {
  /** Reads under way by position: a log that began anew has the same offsets. */
  const reads = new Map<string, Promise<LogRead>>();

  function shared(position: LogPosition): Promise<LogRead> {
    const place = formatPosition(position);
    let read = reads.get(place);
    if (!read) {
      read = readLog(position);
      reads.set(place, read);
      const over = (): void => void reads.delete(place);
      read.then(over, over);
    }
    return read;
  }

  return {
    async after(position) {
      const held = ring.after(position.offset);
      if (held) return held;
      const result = await shared(position);
      if (result.state === 'gap') return result.reason;
      // The room has heard of events that the log does not have: it went back in time.
      if (result.rows.length === 0) return 'epoch';
      const frames = result.rows.map(({ offset, type, body }) => ({
        offset,
        bytes: eventFrame({ epoch: position.epoch, offset }, type, body),
      }));
      const now = head();
      if (now?.epoch === position.epoch) ring.prepend(frames, now.offset);
      return frames;
    },
  };
}
