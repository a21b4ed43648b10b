import type { Coherence, CoherenceSink } from '../ports/coherence.ts';

/**
 * A coherence that loses messages and does not notice, as one does between the moment a connection falls silent and the
 * moment that is found out.
 *
 * @param loses - Asked for every message; `true` loses it.
 * @example
 * const tier = memoryRemoteTier();
 * const deaf = lossyBus(tier.coherence, () => Math.random() < 0.1);
 */
export function lossyBus(coherence: Coherence, loses: (keys: readonly string[]) => boolean): Coherence {
  return {
    get mode() {
      return coherence.mode;
    },
    start: (sink: CoherenceSink) =>
      coherence.start({
        ...sink,
        changed: (keys, version) => {
          if (!loses(keys)) sink.changed(keys, version);
        },
        changedAll: () => {
          if (!loses([])) sink.changedAll();
        },
      }),
    close: () => coherence.close(),
  };
}
