import { ArgumentError, assertKnownOptions } from '../../errors.ts';
import { maxTagsLength } from '../../key-space.ts';
import type { LoadContext, LoadSettings } from '../../loader.ts';
import { type CachePolicy, policyOptions, type ResolvedPolicy, resolvePolicy } from '../../policy.ts';

const settings = [...policyOptions.filter((name) => name !== 'timeout'), 'tags'];

/** What one load is told and what it says of its value. */
export class Loading implements LoadContext<unknown> {
  readonly signal: AbortSignal;
  readonly stale: unknown;
  /** The policy of what is loaded. */
  policy: ResolvedPolicy;
  /** Wire keys of the tags that were added. */
  readonly tags: Set<string> = new Set();
  /** The loader said that the old value still holds. */
  unchanged = false;

  // Not methods: loaders take the context apart.
  readonly notModified: () => never;
  readonly set: (given: LoadSettings) => void;

  constructor(namespace: string, wire: string, signal: AbortSignal, stale: unknown, policy: ResolvedPolicy) {
    this.signal = signal;
    this.stale = stale;
    this.policy = policy;
    this.notModified = () => {
      if (this.stale === undefined) {
        throw new ArgumentError(`There is no old value of "${wire}" that could be unmodified`);
      }
      this.unchanged = true;
      // The type of the value is that of the key, which nobody knows here.
      return this.stale as never;
    };
    this.set = (given) => {
      const { tags = [], ...own } = known(given);
      for (const tag of tags) {
        if (!tag?.wire?.startsWith?.(`${namespace}:c:`)) {
          throw new ArgumentError(`Not a tag of the namespace "${namespace}": ${tag?.wire ?? String(tag)}`);
        }
        this.tags.add(tag.wire);
      }
      let bytes = 0;
      for (const tag of this.tags) bytes += tag.length;
      if (bytes > maxTagsLength) {
        throw new ArgumentError(
          `The tags of "${wire}" have at most ${maxTagsLength} bytes; got ${bytes} in ${this.tags.size} tags`,
        );
      }
      this.policy = resolved(own, this.policy);
    };
  }
}

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

function asArgument<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new ArgumentError(error instanceof Error ? error.message : String(error));
  }
}
