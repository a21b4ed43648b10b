import type { Cancellation } from '../../async/cancellation.ts';
import type { LoadContext, LoadSettings } from '../../cache/loader.ts';
import { ArgumentError, asArgument, assertKnownOptions, listed } from '../../errors.ts';
import { maxTagsLength } from '../../keys/resource-keys.ts';
import { assertTag } from '../../keys/wire-key.ts';
import { type CachePolicy, type ResolvedPolicy, resolvePolicy } from '../../policy.ts';

const settings = ['ttl', 'negativeTtl', 'tags'];

/** What one load is told and what it says of its value. What it may never be asked for is made when it is. */
export class Loading implements LoadContext<unknown> {
  readonly stale: unknown;
  /** The policy of what is loaded. */
  policy: ResolvedPolicy;
  /** The loader said that the old value still holds. */
  unchanged = false;
  readonly #namespace: string;
  readonly #wire: string;
  readonly #cancellation: Cancellation;
  #tags: Set<string> | undefined;

  constructor(
    namespace: string,
    wire: string,
    cancellation: Cancellation,
    stale: unknown,
    policy: ResolvedPolicy,
  ) {
    this.#namespace = namespace;
    this.#wire = wire;
    this.#cancellation = cancellation;
    this.stale = stale;
    this.policy = policy;
  }

  /** Wire keys of the tags that were added. */
  get tags(): ReadonlySet<string> {
    return this.#tags ?? none;
  }

  /** The tags of the old value, which still holds. @returns Whether others were added. */
  keepTags(kept: readonly string[]): boolean {
    const added = [...this.tags].some((tag) => !kept.includes(tag));
    this.#tags = new Set([...kept, ...this.tags]);
    return added;
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }

  // Functions that know their load: loaders take the context apart.
  get notModified(): () => never {
    return () => {
      if (this.stale === undefined) {
        throw new ArgumentError(`There is no old value of "${this.#wire}" that could be unmodified`);
      }
      this.unchanged = true;
      // The type of the value is that of the key, which nobody knows here.
      return this.stale as never;
    };
  }

  get set(): (given: LoadSettings) => void {
    return (given) => this.#set(given);
  }

  #set(given: LoadSettings): void {
    const { tags = [], ...own } = known(given);
    this.#tags ??= new Set();
    for (const tag of listed('set: tags', tags)) {
      assertTag(this.#namespace, tag);
      this.#tags.add(tag.wire);
    }
    let bytes = 0;
    for (const tag of this.#tags) bytes += tag.length;
    if (bytes > maxTagsLength) {
      throw new ArgumentError(
        `The tags of "${this.#wire}" have at most ${maxTagsLength} bytes; got ${bytes} in ${this.#tags.size} tags`,
      );
    }
    this.policy = resolved(own, this.policy);
  }
}

const none: ReadonlySet<string> = new Set();

function known(given: LoadSettings): LoadSettings {
  if (typeof given !== 'object' || given === null) {
    throw new ArgumentError(`set: takes { ttl, tags, ... }; got ${String(given)}`);
  }
  return asArgument(() => {
    assertKnownOptions('set', given, settings);
    return given;
  });
}

function resolved(policy: CachePolicy, base: ResolvedPolicy): ResolvedPolicy {
  return asArgument(() => resolvePolicy(policy, base, 'set'));
}
