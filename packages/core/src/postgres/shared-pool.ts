import { hearLostConnections, type LosablePool } from './lost-connections.ts';

/** The part of a `pg.Pool` that tells how busy it is. */
export interface PoolGaugesLike {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  readonly options: { readonly max?: number | undefined };
}

/** The part of a `pg.Pool` that {@link sharedPool} uses. */
export interface SharedPoolLike extends PoolGaugesLike, LosablePool {}

/** How busy a pool is, in connections. */
export interface PoolPressure {
  readonly max: number;
  /** Open connections. */
  readonly total: number;
  /** Open connections that nobody uses. */
  readonly idle: number;
  /** Connections in use. */
  readonly used: number;
  /** Callers that wait for a connection. Above 0 for long: the pool is too small, or somebody holds on to them. */
  readonly waiting: number;
  /** `used / max`, from 0 to 1. */
  readonly saturation: number;
}

const key = Symbol.for('@cachekit/core/shared-pools');

/**
 * The one pool of this name in the process: made by `create` at the first call and the same ever after, also when a
 * development server loads the module again or a bundler holds two copies of it.
 *
 * A connection that breaks, idle or checked out, would end the process as an unhandled `error` event; the shared pool
 * listens. The pool is the user's own, with the user's options, and whoever ends it calls `pool.end()`
 * and does not ask for it again.
 *
 * @param create - Makes the pool, for example with `max: 20`, `idleTimeoutMillis: 30_000` and
 * `connectionTimeoutMillis: 10_000`.
 * @param name - Tells pools of different databases apart.
 * @example
 * const pool = sharedPool(() => new pg.Pool({ max: 20, idleTimeoutMillis: 30_000, connectionTimeoutMillis: 10_000 }));
 * poolPressure(pool); // { max: 20, total: 0, idle: 0, used: 0, waiting: 0, saturation: 0 }
 */
export function sharedPool<Pool extends SharedPoolLike>(create: () => Pool, name = 'default'): Pool {
  const home = globalThis as { [key]?: Map<string, SharedPoolLike> };
  home[key] ??= new Map();
  const found = home[key].get(name);
  // Who asks by the same name gave the same `create`; the map cannot know its type.
  if (found !== undefined) return found as Pool;
  const pool = create();
  hearLostConnections(pool);
  home[key].set(name, pool);
  return pool;
}

/** How busy the pool is now; costs nothing, so it may be read as often as metrics are. */
export function poolPressure(pool: PoolGaugesLike): PoolPressure {
  const max = pool.options.max ?? 10;
  const used = pool.totalCount - pool.idleCount;
  return {
    max,
    total: pool.totalCount,
    idle: pool.idleCount,
    used,
    waiting: pool.waitingCount,
    saturation: used / max,
  };
}
