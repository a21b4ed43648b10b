import { type Clock, entryFields, entryKinds, entryMagic, fieldText, type TierClock } from '@cachekit/core';
import { Recent } from './recent.ts';

/** What a look at a key of one's own says: nothing changed, or it did, and what is there has this version. */
export type Finding = 'unchanged' | { readonly version: string | undefined };

/**
 * What this process wrote lately.
 *
 * A server that tells of every change also tells a process of its own, and does not say whose it was; and two changes
 * at the same moment are told once. So a change of a key that this process wrote lately is looked up.
 */
export class OwnWrites {
  readonly #keys: Recent<string>;
  readonly #tokens: Recent<string>;
  readonly #clocks: Recent<TierClock>;

  constructor(clock: Clock) {
    this.#keys = new Recent(clock);
    this.#tokens = new Recent(clock);
    this.#clocks = new Recent(clock);
  }

  /** Before the call is sent, because the server may tell of it before it answers. */
  begun(key: string, tags: readonly string[], token?: string): void {
    this.#keys.add(key);
    for (const tag of tags) this.#keys.add(tag);
    if (token !== undefined) this.#tokens.add(token);
  }

  /** A load of this process began at `clock`; tags that were unknown have that version now. */
  loadBegan(clock: TierClock): void {
    // A put may take its clock over from whoever invalidated a tag, and that clock is odd.
    if (clock % 2 === 0) this.#clocks.add(clock);
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** @param stored - The first characters of what the key holds: an entry's header, or a tag. */
  finding(stored: string): Finding {
    if (/^\d{1,16}$/.test(stored)) {
      return this.#clocks.has(Number(stored)) ? 'unchanged' : { version: undefined };
    }
    if (!stored.startsWith(entryMagic)) return { version: undefined };
    const version = fieldText(stored, entryFields.version);
    if (fieldText(stored, entryFields.kind) === entryKinds.lease) return { version };
    // The version of the load that is under way here, so that the load is not taken for overtaken.
    const refresh = fieldText(stored, entryFields.refreshToken);
    return { version: this.#tokens.has(refresh) ? refresh : version };
  }
}
