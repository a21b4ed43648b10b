import type { Clock, Duration, SqlExecutor } from '@cachekit/core';
import type { Depth } from './compare.ts';
import type { EtlDefinition } from './definition.ts';
import type { EtlEvents } from './events.ts';
import type { EtlStatus } from './status.ts';

/** Options of `createEtl`. */
export interface EtlOptions extends EtlDefinition {
  /** The database that is read; the primary, because running transactions are not seen on a standby. */
  readonly remote: SqlExecutor;
  /** The database that is written. */
  readonly local: SqlExecutor;
  /** Pause between two runs of `start()`. @defaultValue `1m` */
  readonly every?: Duration;
  /** When `start()` compares the two databases. */
  readonly reconcile?: {
    /** @defaultValue `1h` */
    readonly keys?: Duration | false;
    /** It computes every row of `from`. @defaultValue `1d` */
    readonly rows?: Duration | false;
  };
  /** One transaction, on both sides; the servers cancel it then. @defaultValue `30m` */
  readonly timeout?: Duration;
  /** After about so many rows a run commits and goes on in another transaction. @defaultValue 200000 */
  readonly maxRows?: number;
  readonly clock?: Clock;
}

/** What a complete run did. */
export interface EtlResult {
  readonly read: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly durationMs: number;
}

/** What a comparison found; all of it is mended. */
export interface EtlComparison extends EtlResult {
  /** Rows that were not in the local table. */
  readonly missing: number;
  /** Rows that are in the local table only. */
  readonly surplus: number;
  /** Rows that were not the same. */
  readonly different: number;
}

/** Keeps a local table the same as a remote view. */
export interface Etl {
  /**
   * Creates what the copy needs in the local database, and the local table if there is none. For a deployment; safe to
   * repeat.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION` if the remote relation or the key is not there, or the local key
   * is not unique; for a slot also if the remote server or the role does not permit it, or a replica identity does not
   * hold what leads to the keys.
   */
  install(): Promise<void>;
  /**
   * Drops the slot and its publication in the remote database; the rows stay. To be called, with the process stopped, before
   * a copy is given up: the server keeps all WAL for a slot that nobody reads. Safe to repeat.
   *
   * @throws The error of the remote database, unchanged, such as 55006 while a run reads the slot.
   */
  dropSlot(): Promise<void>;
  /** The statement by which `install()` creates the local table. */
  script(): Promise<string>;
  /**
   * Copies what changed since the last run, everything the first time.
   *
   * @throws RemoteSchemaDriftError `REMOTE_SCHEMA_DRIFT` if a column vanished or changed its type; nothing is copied.
   * @throws ConfigurationError `INVALID_CONFIGURATION` if it was never installed, or its slot cannot be used any more.
   * @throws The error of either database, unchanged; what was committed before stays.
   */
  run(): Promise<EtlResult>;
  /**
   * Runs, then compares both databases by hashes and copies what differs: deleted rows (`keys`), and also changes that no
   * watermark shows (`rows`).
   *
   * @throws As {@link run}.
   */
  reconcile(depth: Depth): Promise<EtlComparison>;
  /** Runs now and then every `every`, and compares when it is due, until `stop()`. */
  start(): void;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
  /**
   * How the copy stands; asks the local database only, so it answers while the remote one is down.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION` if it was never installed.
   */
  status(): Promise<EtlStatus>;
  /** Calls `listener` with every event of that name; one that throws disturbs nobody else. */
  on<Name extends keyof EtlEvents>(name: Name, listener: EtlEvents[Name]): void;
  /** Ends what `on` began. */
  off<Name extends keyof EtlEvents>(name: Name, listener: EtlEvents[Name]): void;
}
