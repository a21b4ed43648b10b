import type { Duration, RedisExecutor } from '@cachekit/core';
import type { RandomBytes } from '../secret.ts';

/** Options of `createSessions`. */
export interface SessionsOptions {
  readonly redis: RedisExecutor;
  /** @defaultValue `'ck'` */
  readonly namespace?: string;
  /** A session that is not used for this long has ended, such as `"30m"`. */
  readonly idleTtl: Duration;
  /** However much it is used, a session ends after this, such as `"30d"`. */
  readonly maxLifetime: Duration;
  /** @defaultValue `crypto.getRandomValues` */
  readonly random?: RandomBytes;
}

/** A session as it was when it was read. */
export interface Session<T> {
  readonly tenant: string;
  readonly user: string;
  readonly data: T;
  /** Grows by one with every change of the data. */
  readonly version: number;
  /** Names the session to its user and to administrators. Nobody can log in with it. */
  readonly handle: string;
  readonly createdAt: Date;
  /** Exact to a tenth of `idleTtl`. */
  readonly lastSeenAt: Date;
  /** When it ends if it is not used. */
  readonly expiresAt: Date;
}

/** A session together with its id, which is a secret: it belongs in a cookie and nowhere else. */
export interface IdentifiedSession<T> extends Session<T> {
  readonly id: string;
}

/** Why a session was not saved: somebody else did meanwhile, or it has ended. */
export type SaveOutcome = 'saved' | 'conflict' | 'ended';

/** Sessions in Redis. Every method rejects within the timeout of the executor if Redis does not answer. */
export interface Sessions<T> {
  /** Begins a session of a user. */
  create(tenant: string, session: { readonly user: string; readonly data: T }): Promise<IdentifiedSession<T>>;
  /** The session, which counts as a use of it; `undefined` if it has ended, or never was. */
  get(id: string): Promise<Session<T> | undefined>;
  /**
   * Replaces the data by what `change` makes of it. If somebody else did so meanwhile, `change` is called again with
   * the newer data, so it has no other effects.
   *
   * @returns `undefined` if the session has ended; it does not come back.
   * @throws Whatever `change` throws, unchanged.
   * @throws Error after 100 others were faster, one after the other.
   */
  update(id: string, change: (data: T) => T | Promise<T>): Promise<Session<T> | undefined>;
  /** Replaces the data if its version still is the one that was read. A session that has ended does not come back. */
  save(id: string, data: T, version: number): Promise<SaveOutcome>;
  /**
   * Gives the session a new id, as after a login; the old one is unknown from then on, and only ends the session.
   *
   * Of two calls with one id at the same moment one gets the new id, which nobody may get who merely knows the old one. So do
   * not take the cookie away where this gives `undefined`: another answer to the same browser may have set it anew.
   *
   * @returns `undefined` if the session has ended, or has another id meanwhile.
   */
  rotate(id: string): Promise<IdentifiedSession<T> | undefined>;
  /**
   * Ends the session, also by an id that it had until a minute ago: a logout that was sent before the new id arrived
   * counts, too.
   *
   * @returns Whether there was one.
   */
  end(id: string): Promise<boolean>;
  /** All sessions of a user, the one that was seen last first. To look at them is no use of them. */
  list(tenant: string, user: string): Promise<readonly Session<T>[]>;
  /**
   * Ends a session by its handle, as from a list of devices; a handle that it had until a minute ago will do.
   *
   * @returns Whether the user had it.
   */
  endByHandle(tenant: string, user: string, handle: string): Promise<boolean>;
  /**
   * Ends all sessions of a user that exist when it is called, those with an id that is rotated meanwhile among them.
   *
   * @param options - `except` is the id of one that stays.
   * @returns How many have been ended.
   */
  endAll(tenant: string, user: string, options?: { readonly except?: string }): Promise<number>;
}
