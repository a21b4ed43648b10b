import type { RedisExecutor, SqlExecutor } from '@cachekit/core';

/** An executor that counts the statements it is asked to run, `begin` and `commit` among them. */
export interface CountedSql extends SqlExecutor {
  readonly queries: number;
}

export function countedSql(sql: SqlExecutor): CountedSql {
  let queries = 0;
  const counting = (inner: SqlExecutor): SqlExecutor => ({
    query: (text, parameters) => {
      queries += 1;
      return inner.query(text, parameters);
    },
    transaction: (run) => {
      queries += 2;
      return inner.transaction((transaction) => run(counting(transaction)));
    },
  });
  return Object.defineProperty(counting(sql), 'queries', { get: () => queries }) as CountedSql;
}

/** An executor that counts how often it sends something: what is sent in one turn of the event loop travels together. */
export interface CountedRedis extends RedisExecutor {
  readonly roundTrips: number;
}

export function countedRedis(redis: RedisExecutor): CountedRedis {
  let roundTrips = 0;
  let sending = false;
  const send = (): void => {
    if (sending) return;
    sending = true;
    roundTrips += 1;
    setImmediate(() => {
      sending = false;
    });
  };
  const tracker = redis.tracker?.bind(redis);
  return {
    get roundTrips() {
      return roundTrips;
    },
    capabilities: redis.capabilities,
    ...(redis.timeoutMs !== undefined && { timeoutMs: redis.timeoutMs }),
    command: (name, ...args) => {
      send();
      return redis.command(name, ...args);
    },
    script: (script, keys, args) => {
      send();
      return redis.script(script, keys, args);
    },
    scan: (prefix) => redis.scan(prefix),
    subscriber: () => redis.subscriber(),
    ...(tracker && { tracker }),
    close: () => redis.close(),
  };
}
