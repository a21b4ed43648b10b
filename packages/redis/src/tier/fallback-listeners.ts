import type { CoherenceMode } from '@cachekit/core';
import type { CoherenceFallback } from './redis-tier.ts';

/** Who hears that the server refuses to track. */
export class FallbackListeners {
  // In boxes, so that a listener that is there twice is told twice and leaves once.
  readonly #boxes = new Set<{ readonly listener: (fallback: CoherenceFallback) => void }>();

  add(listener: (fallback: CoherenceFallback) => void): () => void {
    const box = { listener };
    this.#boxes.add(box);
    return () => {
      this.#boxes.delete(box);
    };
  }

  tell(to: CoherenceMode | undefined, reason: unknown): void {
    const fallback = { from: 'tracking', ...(to === undefined ? {} : { to }), reason } as const;
    for (const { listener } of [...this.#boxes]) listener(fallback);
  }
}
