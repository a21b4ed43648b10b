import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  escapeTenant,
  systemClock,
} from '@cachekit/core';
import { newEpoch } from '../epoch.ts';
import type { LogPosition } from '../position.ts';
import type { EventLog, LogAppend, LogFollower, LogRead, NewLogRecord, NumberedRecord } from './event-log.ts';

/** Options of {@link createMemoryLog}. */
export interface MemoryLogOptions {
  /** Events kept per tenant, for those who come back. @defaultValue 1000 */
  readonly length?: number;
  /** How long the log of a tenant is kept after it was last used. @defaultValue "1h" */
  readonly keep?: Duration;
  readonly clock?: Clock;
  /** Numbers in [0, 1), for the epochs. @defaultValue Math.random */
  readonly random?: () => number;
}

interface TenantLog {
  readonly epoch: string;
  offset: number;
  /** The newest records, oldest first; may hold up to twice `length` between two trims. */
  rows: NumberedRecord[];
  /** Origin to the offset it was first seen at, in the order of offsets. */
  readonly origins: Map<string, number>;
  readonly followers: Set<LogFollower>;
  usedAt: number;
}

/**
 * Keeps the log in this process: for one instance, for tests, and for running without Redis.
 *
 * The log ends with the process; a client that comes back to another one is told so by a gap. Followers are called
 * inside `append`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if `length` is no integer >= 1.
 * @example
 * const hub = createHub({ log: createMemoryLog() });
 */
export function createMemoryLog(options: MemoryLogOptions = {}): EventLog {
  assertKnownOptions('createMemoryLog', options, ['length', 'keep', 'clock', 'random']);
  const length = logLength(options.length);
  const keepMs = durationMs(options.keep ?? '1h', 'keep');
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const logs = new Map<string, TenantLog>();
  let sweptAt = clock.now();

  function of(tenant: string): TenantLog {
    let log = logs.get(tenant);
    if (!log) {
      escapeTenant(tenant);
      log = {
        epoch: newEpoch(random),
        offset: 0,
        rows: [],
        origins: new Map(),
        followers: new Set(),
        usedAt: 0,
      };
      logs.set(tenant, log);
    }
    log.usedAt = clock.now();
    return log;
  }

  function sweep(): void {
    const now = clock.now();
    if (now - sweptAt < keepMs / 10) return;
    sweptAt = now;
    for (const [tenant, log] of logs) {
      if (log.followers.size === 0 && now - log.usedAt > keepMs) logs.delete(tenant);
    }
  }

  return {
    async append(tenant: string, records: readonly NewLogRecord[]): Promise<LogAppend> {
      sweep();
      const log = of(tenant);
      const fresh = notSeen(log, records);
      const first = log.offset + 1;
      for (const { type, body, origin } of fresh) {
        log.offset += 1;
        log.rows.push({ offset: log.offset, type, body });
        if (origin !== undefined && !log.origins.has(origin)) log.origins.set(origin, log.offset);
      }
      trim(log, length);
      if (fresh.length > 0) {
        const tail = { epoch: log.epoch, first, records: fresh };
        for (const follower of [...log.followers]) follower.appended(tail);
      }
      return {
        position: place(log),
        appended: fresh.length,
        repeated: records.length - fresh.length,
      };
    },

    async readAfter(tenant: string, { epoch, offset }: LogPosition, limit: number): Promise<LogRead> {
      const log = of(tenant);
      const top = place(log);
      if (epoch !== log.epoch || offset > log.offset) return { state: 'gap', reason: 'epoch', top };
      const skip = log.rows.length - (log.offset - offset);
      if (skip < 0) return { state: 'gap', reason: 'trimmed', top };
      return { state: 'rows', rows: log.rows.slice(skip, skip + limit), top };
    },

    async position(tenant: string): Promise<LogPosition> {
      return place(of(tenant));
    },

    async follow(tenant: string, follower: LogFollower): Promise<() => Promise<void>> {
      const { followers } = of(tenant);
      followers.add(follower);
      return async () => {
        followers.delete(follower);
      };
    },

    async *tenants(): AsyncIterable<readonly string[]> {
      if (logs.size > 0) yield [...logs.keys()];
    },

    async close(): Promise<void> {
      for (const { followers } of logs.values()) followers.clear();
    },
  };
}

/** How many events a log keeps per tenant. */
export function logLength(length = 1_000): number {
  if (Number.isInteger(length) && length >= 1) return length;
  throw new ConfigurationError(`length: ${String(length)} is none; give the events to keep, an integer >= 1`);
}

function place({ epoch, offset }: TenantLog): LogPosition {
  return { epoch, offset };
}

function notSeen(log: TenantLog, records: readonly NewLogRecord[]): readonly NewLogRecord[] {
  return records.filter(({ origin }) => origin === undefined || !log.origins.has(origin));
}

/** Drops what is beyond `length`; in bulk, so that an append costs O(1) on average. */
function trim(log: TenantLog, length: number): void {
  if (log.rows.length >= 2 * length) log.rows = log.rows.slice(-length);
  for (const [origin, offset] of log.origins) {
    if (offset > log.offset - 2 * length) break;
    log.origins.delete(origin);
  }
}
