/** One transaction of a copy, committed in the local database. */
export interface EtlRun {
  readonly etl: string;
  /** `load`: every row; `changes`: what changed since the last run; `keys`, `rows`: a comparison by hashes. */
  readonly kind: 'load' | 'changes' | 'keys' | 'rows';
  /** Rows read from the remote database. */
  readonly read: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly durationMs: number;
  /** Whether the run is complete; if not, the next one goes on where it ended. */
  readonly complete: boolean;
}

/** Why the copy may miss changes, or reads more than it has to. */
export interface EtlRisk {
  readonly reason:
    | 'PG_READ_ALL_STATS_MISSING'
    | 'ACTIVITY_NOT_TRACKED'
    | 'PREPARED_TRANSACTION'
    | 'CHANGED_NULLABLE'
    | 'COLUMN_NOT_COPIED';
  /** What it is about and what mends it. */
  readonly detail: string;
}

/** What a copy tells. */
export interface EtlEvents {
  /** A transaction was committed. */
  run: (event: EtlRun) => void;
  /** A run failed; nothing of its last transaction is stored. `retryInMs` is set if it is tried again by itself. */
  failed: (event: { etl: string; error: unknown; failures: number; retryInMs: number | undefined }) => void;
  /** The risks are others than at the last run. */
  risks: (event: { etl: string; risks: readonly EtlRisk[] }) => void;
}

/** Calls listeners; one that throws hurts nobody else, its exception is thrown again in a microtask of its own. */
export class EtlListeners {
  readonly #byName = new Map<keyof EtlEvents, Set<(event: never) => void>>();

  on<Name extends keyof EtlEvents>(name: Name, listener: EtlEvents[Name]): void {
    const listeners = this.#byName.get(name) ?? new Set();
    listeners.add(listener);
    this.#byName.set(name, listeners);
  }

  off<Name extends keyof EtlEvents>(name: Name, listener: EtlEvents[Name]): void {
    this.#byName.get(name)?.delete(listener);
  }

  emit<Name extends keyof EtlEvents>(name: Name, event: Parameters<EtlEvents[Name]>[0]): void {
    for (const listener of [...(this.#byName.get(name) ?? [])]) {
      try {
        // A listener is stored under the name whose events it takes.
        listener(event as never);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
