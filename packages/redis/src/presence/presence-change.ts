import { fromJson } from '../json-value.ts';
import { namesOf } from './presence-keys.ts';

/**
 * Why somebody left: it said so, it was not seen for too long, or the process that held it is gone.
 */
export type LeaveReason = 'leave' | 'timeout' | 'server-down';

/** Somebody who is online. */
export interface OnlineMember<M = unknown> {
  readonly member: string;
  /** Absent if the member was announced without one. */
  readonly device?: string;
  /** What was last said about it. */
  readonly meta?: M;
}

/** What changed. */
export type PresenceChange<M = unknown> = OnlineMember<M> & {
  readonly tenant: string;
  /** Of the tenant, after this change; each change has the next one. */
  readonly version: number;
} & (
    | {
        readonly type: 'join';
        /** The member was away before: this is its first device. */
        readonly alone: boolean;
      }
    | {
        readonly type: 'leave';
        /** The member is away now: this was its last device. */
        readonly alone: boolean;
        readonly reason: LeaveReason;
      }
    | { readonly type: 'update' }
  );

/** What a script and a message say: `[version after the last, [[kind, entry, alone, reason or metadata], ...]]`. */
type Told = readonly [string, readonly (readonly [string, string, 0 | 1, string])[]];

/** Reads what a script says that it changed; nothing if it is none of ours. */
export function readChanges<M>(tenant: string, text: string): readonly PresenceChange<M>[] {
  const told = fromJson(text) as Told | undefined;
  if (!Array.isArray(told) || !Array.isArray(told[1]) || !told[1].every(namesSomebody)) return [];
  const [last, entries] = told;
  const first = Number(last) - entries.length + 1;
  return entries.map(([kind, entry, alone, extra], index) => {
    const common = { tenant, version: first + index, ...namesOf(entry) };
    if (kind === 'l') {
      return { ...common, type: 'leave', alone: alone === 1, reason: extra as LeaveReason };
    }
    const meta = extra === '' ? {} : { meta: fromJson(extra) as M };
    return kind === 'j'
      ? { ...common, ...meta, type: 'join', alone: alone === 1 }
      : { ...common, ...meta, type: 'update' };
  });
}

function namesSomebody(change: unknown): boolean {
  return Array.isArray(change) && typeof change[1] === 'string';
}
