import { ArgumentError, type RedisExecutor } from '@cachekit/core';
import { assertCallOptions } from '../call-options.ts';
import { fromJson, toJson } from '../json-value.ts';
import { runScript } from '../script.ts';
import { sessionCreateScript } from '../scripts/session-create.ts';
import { sessionEndScript } from '../scripts/session-end.ts';
import { sessionFindScript } from '../scripts/session-find.ts';
import type { SessionFields } from '../scripts/session-fragments.ts';
import { sessionHandlesScript } from '../scripts/session-handles.ts';
import { sessionReadScript } from '../scripts/session-read.ts';
import { sessionRotateScript } from '../scripts/session-rotate.ts';
import { sessionSaveScript } from '../scripts/session-save.ts';
import { hashOf, newSecret, type RandomBytes } from '../secret.ts';
import { parseSessionId, sessionId, sessionKey, userKey } from './session-keys.ts';
import type { IdentifiedSession, SaveOutcome, Session, Sessions } from './sessions.ts';

/** How many sessions go in one script call. */
const atOnce = 100;
/** From so many on the list of a user is tidied when their number is a power of two. */
const worthTidying = 64;
/** How often a change is tried. */
const mostTries = 100;

/** {@link Sessions} over an executor. */
export class RedisSessions<T> implements Sessions<T> {
  readonly #redis: RedisExecutor;
  readonly #namespace: string;
  readonly #idleMs: number;
  readonly #mostMs: number;
  readonly #random: RandomBytes;

  constructor(
    redis: RedisExecutor,
    namespace: string,
    life: { readonly idleMs: number; readonly mostMs: number },
    random: RandomBytes,
  ) {
    this.#redis = redis;
    this.#namespace = namespace;
    this.#idleMs = life.idleMs;
    this.#mostMs = life.mostMs;
    this.#random = random;
  }

  async create(
    tenant: string,
    session: { readonly user: string; readonly data: T },
  ): Promise<IdentifiedSession<T>> {
    const user = session?.user;
    const index = userKey(this.#namespace, tenant, user);
    const text = toJson(session.data, 'data');
    for (;;) {
      const secret = newSecret(this.#random);
      const handle = await hashOf(secret);
      const keys = [sessionKey(this.#namespace, tenant, handle), index];
      const args = [text, user, this.#idleMs, this.#mostMs, handle];
      const [now, listed] = await runScript(this.#redis, sessionCreateScript, keys, args);
      if (listed === undefined) continue;
      // So seldom that it costs little, and so often that the list stays in proportion to the sessions there are.
      if (listed >= worthTidying && Number.isInteger(Math.log2(listed))) {
        await this.list(tenant, user).catch(() => {});
      }
      const ends = now + this.#mostMs;
      const fields: SessionFields = [text, 1, now, now, user, ends, Math.min(now + this.#idleMs, ends)];
      return { id: sessionId(tenant, secret), ...(this.#session(tenant, handle, fields) as Session<T>) };
    }
  }

  async get(id: string): Promise<Session<T> | undefined> {
    const place = await this.#place(id);
    if (place === undefined) return undefined;
    const [fields = []] = await runScript(this.#redis, sessionReadScript, [place.key], [this.#idleMs]);
    return this.#session(place.tenant, place.handle, fields);
  }

  async update(id: string, change: (data: T) => T | Promise<T>): Promise<Session<T> | undefined> {
    if (typeof change !== 'function') throw new ArgumentError('change: give a function');
    const place = await this.#place(id);
    if (place === undefined) return undefined;
    for (let tries = 0; tries < mostTries; tries++) {
      const session = await this.get(id);
      if (session === undefined) return undefined;
      const reply = await this.#save(place.key, await change(session.data), session.version);
      if (reply.length !== 1) return this.#session(place.tenant, place.handle, reply);
    }
    throw new Error(`A session was changed ${mostTries} times while it was to be changed once`);
  }

  async save(id: string, data: T, version: number): Promise<SaveOutcome> {
    const place = await this.#place(id);
    if (place === undefined) return 'ended';
    const reply = await this.#save(place.key, data, version);
    if (reply.length === 0) return 'ended';
    return reply.length === 1 ? 'conflict' : 'saved';
  }

  async rotate(id: string): Promise<IdentifiedSession<T> | undefined> {
    const place = await this.#place(id);
    if (place === undefined) return undefined;
    const { tenant } = place;
    const session = await this.get(id);
    if (session === undefined) return undefined;
    const index = userKey(this.#namespace, tenant, session.user);
    for (;;) {
      const secret = newSecret(this.#random);
      const handle = await hashOf(secret);
      const keys = [place.key, sessionKey(this.#namespace, tenant, handle), index];
      const reply = await runScript(this.#redis, sessionRotateScript, keys, [place.handle, handle]);
      if (reply.length === 1) continue;
      const rotated = this.#session(tenant, handle, reply);
      return rotated && { id: sessionId(tenant, secret), ...rotated };
    }
  }

  async end(id: string): Promise<boolean> {
    const place = await this.#place(id);
    return place !== undefined && this.#endWherever(place.tenant, place.handle);
  }

  async list(tenant: string, user: string): Promise<readonly Session<T>[]> {
    const handles = await this.#handles(tenant, user);
    const found: Session<T>[] = [];
    const gone: string[] = [];
    for (let from = 0; from < handles.length; from += atOnce) {
      const some = handles.slice(from, from + atOnce);
      const keys = some.map((handle) => sessionKey(this.#namespace, tenant, handle));
      const replies = await runScript(this.#redis, sessionReadScript, keys, [0]);
      for (const [index, fields] of replies.entries()) {
        const session = this.#session(tenant, some[index] as string, fields);
        if (session !== undefined) found.push(session);
        if (fields.length === 0) gone.push(some[index] as string);
      }
    }
    await this.#unlist(tenant, user, gone);
    return found.sort((one, other) => other.lastSeenAt.getTime() - one.lastSeenAt.getTime());
  }

  /** Those that were not used for too long; they never come back under these handles. */
  async #unlist(tenant: string, user: string, handles: readonly string[]): Promise<void> {
    const index = userKey(this.#namespace, tenant, user);
    for (let from = 0; from < handles.length; from += atOnce) {
      await this.#redis.command('ZREM', index, ...handles.slice(from, from + atOnce));
    }
  }

  async endByHandle(tenant: string, user: string, handle: string): Promise<boolean> {
    if (typeof handle !== 'string' || !/^[\w-]{43}$/.test(handle)) return false;
    // Refuses a user that is none.
    userKey(this.#namespace, tenant, user);
    return this.#endWherever(tenant, handle, user);
  }

  /**
   * Ends the session that has this handle, or had it a moment ago.
   *
   * @param owner - Whose it has to be; absent: whoever's it is.
   */
  async #endWherever(tenant: string, handle: string, owner?: string): Promise<boolean> {
    for (let current = handle; ; ) {
      const key = sessionKey(this.#namespace, tenant, current);
      const [user, next] = await runScript(this.#redis, sessionFindScript, [key], []);
      if (next !== undefined) current = next;
      else if (user === undefined || (owner !== undefined && user !== owner)) return false;
      // Nothing is there any more: it has ended, or was rotated just now.
      else if ((await this.#end(tenant, user, [current])) === 1) return true;
    }
  }

  async endAll(tenant: string, user: string, options: { readonly except?: string } = {}): Promise<number> {
    assertCallOptions('endAll', options, ['except']);
    const { except } = options;
    const kept = except === undefined ? undefined : await this.#place(except);
    if (except !== undefined && kept === undefined)
      throw new ArgumentError('except: give the id of a session');
    let ended = 0;
    // Again, until nothing is left: an id that was rotated meanwhile is a new entry of the list.
    for (;;) {
      const handles = (await this.#handles(tenant, user)).filter((handle) => handle !== kept?.handle);
      if (handles.length === 0) return ended;
      ended += await this.#end(tenant, user, handles);
    }
  }

  async #end(tenant: string, user: string, handles: readonly string[]): Promise<number> {
    const index = userKey(this.#namespace, tenant, user);
    let ended = 0;
    for (let from = 0; from < handles.length; from += atOnce) {
      const some = handles.slice(from, from + atOnce);
      const keys = [index, ...some.map((handle) => sessionKey(this.#namespace, tenant, handle))];
      ended += await runScript(this.#redis, sessionEndScript, keys, some);
    }
    return ended;
  }

  async #handles(tenant: string, user: string): Promise<readonly string[]> {
    const index = userKey(this.#namespace, tenant, user);
    return runScript(this.#redis, sessionHandlesScript, [index], []);
  }

  #save(key: string, data: T, version: number): Promise<SessionFields | readonly [] | readonly [0]> {
    const args = [toJson(data, 'data'), version, this.#idleMs];
    return runScript(this.#redis, sessionSaveScript, [key], args);
  }

  async #place(
    id: string,
  ): Promise<{ readonly tenant: string; readonly handle: string; readonly key: string } | undefined> {
    const parsed = parseSessionId(id);
    if (parsed === undefined) return undefined;
    const { tenant, secret } = parsed;
    const handle = await hashOf(secret);
    return { tenant, handle, key: sessionKey(this.#namespace, tenant, handle) };
  }

  #session(tenant: string, handle: string, fields: SessionFields | readonly []): Session<T> | undefined {
    if (fields.length === 0) return undefined;
    const [text, version, created, seen, user, , expires] = fields;
    const data = fromJson(text);
    if (data === undefined) return undefined;
    return {
      tenant,
      user,
      data: data as T,
      version,
      handle,
      createdAt: new Date(created),
      lastSeenAt: new Date(seen),
      expiresAt: new Date(expires),
    };
  }
}
