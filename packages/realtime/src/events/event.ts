import { ArgumentError, type ChangedRow, escapeTenant, type TierClock } from '@cachekit/core';

/** Something that happened, on its way to the listeners of a tenant. */
export interface RealtimeEventInput {
  /** Letters, digits, `.`, `:`, `_` and `-`, at most 64; `ck.` is reserved. */
  readonly type: string;
  /** Whose listeners get it; without one, those of every tenant. */
  readonly tenant?: string | undefined;
  /** Anything JSON can say. */
  readonly data: unknown;
  /** Key of the row it concerns. */
  readonly key?: ChangedRow | undefined;
  /** Clock of the invalidation before it; a read that asks for this clock gets nothing older. */
  readonly clock?: TierClock | undefined;
  /** When it happened, milliseconds since the epoch. */
  readonly at?: number | undefined;
  /** Names the change it comes from; a second event of the same origin is dropped while the log remembers it. */
  readonly origin?: string | undefined;
}

/** Characters of JSON an event may have; the client refuses longer ones too. */
export const maxEventLength = 1_000_000;

/** Types that begin like this are the protocol's own. */
const reservedPrefix = 'ck.';

/** The body of an event on the wire: one line of JSON with `at`, `clock`, `key` and `data`. */
export function encodeBody(event: RealtimeEventInput): string {
  const { at, clock, key } = event;
  let body: string;
  try {
    body = JSON.stringify({ at, clock, key, data: event.data ?? null });
  } catch (cause) {
    throw new ArgumentError(`The data of event "${event.type}" is no JSON: ${(cause as Error).message}`);
  }
  if (body.length <= maxEventLength) return body;
  throw new ArgumentError(
    `Event "${event.type}" has ${body.length} characters of JSON; at most ${maxEventLength} are sent. Send the key and let the listener fetch`,
  );
}

/** Refuses a type that cannot stand in a frame or that the protocol keeps for itself. */
export function assertEventType(type: string): void {
  if (typeof type !== 'string' || !/^[A-Za-z0-9._:-]{1,64}$/.test(type) || type.startsWith(reservedPrefix)) {
    throw new ArgumentError(
      `${JSON.stringify(type) ?? String(type)} is no event type; give 1 to 64 letters, digits, ".", ":", "_" or "-", not beginning with "${reservedPrefix}"`,
    );
  }
}

/** Refuses a tenant id that no key could hold. */
export function assertTenant(tenant: string | undefined): void {
  if (tenant !== undefined) escapeTenant(tenant);
}
