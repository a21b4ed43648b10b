import type { RedisExecutor } from '@cachekit/core';
import { fromJson } from '../json-value.ts';
import { runScript } from '../script.ts';
import { presenceBeatScript } from '../scripts/presence-beat.ts';
import { presenceDueScript } from '../scripts/presence-due.ts';
import { presenceLeaveScript } from '../scripts/presence-leave.ts';
import { presenceOnlineScript } from '../scripts/presence-online.ts';
import { presenceSnapshotScript } from '../scripts/presence-snapshot.ts';
import { presenceSweepScript } from '../scripts/presence-sweep.ts';
import { type OnlineMember, type PresenceChange, readChanges } from './presence-change.ts';
import { dueKey, namesOf, presenceChannel, presenceKeys } from './presence-keys.ts';

/** What the parts of presence have in common. */
export interface PresenceStoreParts<M> {
  readonly redis: RedisExecutor;
  readonly namespace: string;
  readonly ttlMs: number;
  readonly graceMs: number;
  /** Whether changes are published. */
  readonly published: boolean;
  /** Hears of what this process changed. */
  readonly changed: (changes: readonly PresenceChange<M>[]) => void;
}

/** What was seen of one entry: the entry and its metadata as JSON, empty if nothing is said about it. */
export type Beat = readonly [entry: string, meta: string];

/** What {@link PresenceStore.sweep} found. */
export interface Swept {
  /** When the next one drops out; 0 if nobody is left. */
  readonly nextAt: number;
  readonly devices: number;
  readonly members: number;
}

/** Most entries that go in one script call. */
const atOnce = 500;

/** Who is online in Redis: each method is one script call, and tells what it changed. */
export class PresenceStore<M> {
  readonly #parts: PresenceStoreParts<M>;

  constructor(parts: PresenceStoreParts<M>) {
    this.#parts = parts;
  }

  /** @returns For each whether its member was away. */
  async beat(tenant: string, beats: readonly Beat[], server: string): Promise<readonly boolean[]> {
    const { redis, namespace, ttlMs } = this.#parts;
    const came: boolean[] = [];
    for (let from = 0; from < beats.length; from += atOnce) {
      const some = beats.slice(from, from + atOnce);
      const args = [ttlMs, this.#channel(tenant), server, ...some.flat()];
      const keys = presenceKeys(namespace, tenant);
      const [, changes, away] = await runScript(redis, presenceBeatScript, keys, args);
      this.#tell(tenant, changes);
      came.push(...away.map((flag) => flag === 1));
    }
    return came;
  }

  /** @param whole - Whether all devices of the member go. */
  async leave(tenant: string, entry: string, whole: boolean): Promise<boolean> {
    const { redis, namespace, graceMs } = this.#parts;
    const args = [entry, this.#channel(tenant), graceMs, whole ? 1 : 0];
    const keys = presenceKeys(namespace, tenant);
    const [, changes, here] = await runScript(redis, presenceLeaveScript, keys, args);
    this.#tell(tenant, changes);
    return here === 1;
  }

  /** @param gone - A process whose entries leave, or empty. */
  async sweep(tenant: string, gone: string): Promise<Swept> {
    const { redis, namespace, graceMs } = this.#parts;
    const args = [this.#channel(tenant), gone, graceMs];
    const keys = presenceKeys(namespace, tenant);
    const [, changes, nextAt, devices, members] = await runScript(redis, presenceSweepScript, keys, args);
    this.#tell(tenant, changes);
    return { nextAt, devices, members };
  }

  async snapshot(
    tenant: string,
  ): Promise<{ readonly version: number; readonly members: readonly OnlineMember<M>[] }> {
    const { redis, namespace } = this.#parts;
    const args = [this.#channel(tenant)];
    const keys = presenceKeys(namespace, tenant);
    const [version, changes, found] = await runScript(redis, presenceSnapshotScript, keys, args);
    this.#tell(tenant, changes);
    const members: OnlineMember<M>[] = [];
    for (let index = 0; index < found.length; index += 2) {
      const meta = found[index + 1] as string;
      members.push({
        ...namesOf(found[index] as string),
        ...(meta === '' ? {} : { meta: fromJson(meta) as M }),
      });
    }
    return { version, members };
  }

  /** The version alone. */
  async version(tenant: string): Promise<number> {
    const [, facts] = presenceKeys(this.#parts.namespace, tenant);
    return Number((await this.#parts.redis.command('HGET', facts, 'v')) ?? 0);
  }

  /** Entries, the one seen longest ago first. It changes nothing. */
  async online(tenant: string): Promise<readonly string[]> {
    const [online] = presenceKeys(this.#parts.namespace, tenant);
    return runScript(this.#parts.redis, presenceOnlineScript, [online], []);
  }

  /** Notes that somebody should look at the tenant in `ms` at the latest. */
  async due(tenant: string, ms: number): Promise<void> {
    const { redis, namespace } = this.#parts;
    await runScript(redis, presenceDueScript, [dueKey(namespace)], [tenant, ms]);
  }

  #channel(tenant: string): string {
    return this.#parts.published ? presenceChannel(this.#parts.namespace, tenant) : '';
  }

  #tell(tenant: string, text: string): void {
    if (text !== '') this.#parts.changed(readChanges(tenant, text));
  }
}
