import type { Coherence, CoherenceSink } from '@cachekit/core';

/** Hears nothing: memory serves what it has until it expires, whatever other processes change. */
export class TtlCoherence implements Coherence {
  readonly mode = 'ttl';

  start(sink: CoherenceSink): void {
    sink.armed();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
