import type { StreamSink } from './connection.ts';

/**
 * A sink that never throws: at the first exception of `sink` it is aborted, and takes nothing any more.
 *
 * @param failed - Told of that exception.
 */
export function guardedSink(sink: StreamSink, failed: (error: unknown) => void): StreamSink {
  let over = false;

  function abort(): void {
    if (over) return;
    over = true;
    try {
      sink.abort();
    } catch {
      // Nothing more can be done with it.
    }
  }

  function fail(error: unknown): void {
    abort();
    failed(error);
  }

  return {
    write(chunk) {
      if (over) return;
      try {
        sink.write(chunk);
      } catch (error) {
        fail(error);
      }
    },
    get room() {
      return over ? 0 : sink.room;
    },
    end() {
      if (over) return;
      try {
        sink.end();
      } catch (error) {
        fail(error);
      }
    },
    abort,
  };
}
