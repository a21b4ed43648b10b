import type { CacheEvents } from '../cache/cache-events.ts';
import type { CacheOptions, MemoryOptions } from '../cache/cache-options.ts';
import { jsonCodec } from '../codecs/json.ts';
import { assertKnownOptions, ConfigurationError } from '../errors.ts';
import { Events } from '../events.ts';
import type { KeyResource } from '../keys/cache-key.ts';
import { assertNamespace, defaultNamespace } from '../keys/wire-key.ts';
import { namespaceTag } from '../keys/wire-tag.ts';
import { CoarseClock } from '../memory/coarse-clock.ts';
import { TagRecords } from '../memory/tag-records.ts';
import { distrust, MemoryTier } from '../memory/tier.ts';
import { Metrics } from '../metrics/metrics.ts';
import { type CachePolicy, defaultPolicy, policyOptions, resolvePolicy } from '../policy.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import { deletePrefix } from './invalidate.ts';
import { commitsOf } from './load/commit.ts';
import { acquiresOf, leasesOf } from './load/lease.ts';
import { Looks } from './looks/looks.ts';
import type { EngineParts, ResourceState } from './parts.ts';
import { RemoteCall } from './remote-call.ts';
import { Repairs } from './repairs.ts';
import { Background } from './steps/background.ts';
import { Failures } from './steps/failures.ts';
import { Readings } from './steps/readings.ts';
import { SingleFlight } from './steps/single-flight.ts';
import { Timeouts } from './steps/timeouts.ts';
import { epochOf } from './steps/trust.ts';
import { TierTime } from './tier-time.ts';
import { Tokens } from './tokens.ts';

const cacheOptions = ['namespace', 'memory', 'remote', 'policy', 'onUnreached', 'codec', 'clock', 'random'];
const defaultMaxEntries = 10_000;

/**
 * Makes what the conductors of one cache share.
 *
 * @param use - Called at the beginning of every call.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for options that no cache can work with.
 */
export function buildParts(options: CacheOptions, use: () => void): EngineParts {
  assertKnownOptions('createCache', options, cacheOptions);
  const namespace = options.namespace ?? defaultNamespace;
  assertNamespace(namespace);
  const policy = resolvePolicy(knownPolicy(options.policy), defaultPolicy, 'createCache: policy');
  assertParts(options, namespace);
  const clock = options.clock ?? systemClock;
  const random = options.random ?? (() => Math.random());
  const events = new Events<CacheEvents>();
  const metrics = new Metrics(clock.now());
  const time = new TierTime(clock);
  // Memory that nobody else changes is always trusted; beside a remote tier it first has to hear what others change.
  const epoch = options.remote === undefined ? 1 : distrust;
  const tags = new TagRecords(options.remote === undefined ? 1 : -1);
  const { maxEntries, maxBytes, share } = memoryOptions(options.memory);
  const remote = options.remote && new RemoteCall(options.remote, clock, time, events, metrics);
  const repairs = repairsOf(options.onUnreached, remote, clock, events, namespace);
  if (remote !== undefined) remote.before = repairs;
  const background = new Background();
  const states = new WeakMap<KeyResource, ResourceState>();
  let lastResource: KeyResource | undefined;
  let lastState: ResourceState | undefined;
  const memory = new MemoryTier(maxEntries, epoch, (entry) => tags.release(entry.tags), maxBytes);
  return {
    namespace,
    everything: namespaceTag(namespace),
    clock,
    random,
    tokens: new Tokens(random),
    codec: options.codec ?? jsonCodec,
    memory,
    sharing: share,
    coarse: new CoarseClock(clock),
    tags,
    flights: new SingleFlight(),
    readings: new Readings(),
    background,
    failures: new Failures(clock),
    time,
    events,
    metrics,
    enabled: true,
    remote,
    leases: remote && leasesOf(remote, clock, background),
    acquires: remote && acquiresOf(remote, clock),
    commits: remote && commitsOf(remote, clock),
    timeouts: new Timeouts(clock),
    looks: remote && new Looks(remote, time, clock, tags, () => epochOf(memory.epoch)),
    repairs,
    resourceState: (resource) => {
      // One is often asked for many times in a row.
      if (resource === lastResource && lastState !== undefined) return lastState;
      let state = states.get(resource);
      if (state === undefined) {
        const { name } = resource;
        const resolved = resolvePolicy(resource.policy, policy, name);
        state = { policy: resolved, counters: metrics.countersOf(name, resolved.ttlMs), misses: 0 };
        states.set(resource, state);
      }
      lastResource = resource;
      lastState = state;
      return state;
    },
    use,
  };
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` if what was given in place of a part cannot be one. */
function assertParts({ remote, codec, clock, random }: CacheOptions, namespace: string): void {
  if (remote !== undefined && typeof remote?.getMany !== 'function') {
    throw new ConfigurationError('createCache: remote is no tier; give redisTier({ redis })');
  }
  if (remote?.namespace !== undefined && remote.namespace !== namespace) {
    throw new ConfigurationError(
      `createCache: the namespace is "${namespace}", and that of remote is "${remote.namespace}": it would hear of no change`,
    );
  }
  if (
    codec !== undefined &&
    (typeof codec?.encode !== 'function' ||
      typeof codec.decode !== 'function' ||
      !/^[A-Za-z]$/.test(codec.id))
  ) {
    throw new ConfigurationError('createCache: codec has an id of one ASCII letter, encode() and decode()');
  }
  if (clock !== undefined && (typeof clock?.now !== 'function' || typeof clock.setTimeout !== 'function')) {
    throw new ConfigurationError('createCache: clock has now(), setTimeout() and clearTimeout()');
  }
  if (random !== undefined && typeof random !== 'function') {
    throw new ConfigurationError(`createCache: random is a function; got ${String(random)}`);
  }
}

function knownPolicy(policy: CachePolicy = {}): CachePolicy {
  assertKnownOptions('createCache: policy', policy, policyOptions);
  return policy;
}

function repairsOf(
  onUnreached: CacheOptions['onUnreached'] = 'reject',
  remote: RemoteCall | undefined,
  clock: Clock,
  events: Events<CacheEvents>,
  namespace: string,
): Repairs | undefined {
  if (onUnreached !== 'reject' && onUnreached !== 'repair') {
    throw new ConfigurationError(
      `createCache: onUnreached is "reject" or "repair"; got ${String(onUnreached)}`,
    );
  }
  if (remote === undefined || onUnreached === 'reject') return undefined;
  return new Repairs(remote, clock, events, namespaceTag(namespace), deletePrefix);
}

function memoryOptions(memory: CacheOptions['memory']): Required<MemoryOptions> {
  const none = { maxEntries: 0, maxBytes: Number.POSITIVE_INFINITY, share: 'reference' } as const;
  if (memory === false) return none;
  const given = memory === undefined ? {} : memory;
  assertKnownOptions('createCache: memory', given, ['maxEntries', 'maxBytes', 'share']);
  const { maxEntries = defaultMaxEntries, maxBytes = Number.POSITIVE_INFINITY, share = 'freeze' } = given;
  if (!Number.isInteger(maxEntries) || maxEntries < 1) {
    throw new ConfigurationError(
      `createCache: memory.maxEntries is a whole number of 1 or more; got ${maxEntries}`,
    );
  }
  if (typeof maxBytes !== 'number' || !(maxBytes >= 1)) {
    throw new ConfigurationError(`createCache: memory.maxBytes is 1 or more; got ${String(maxBytes)}`);
  }
  if (!['freeze', 'clone', 'reference'].includes(share)) {
    throw new ConfigurationError(
      `createCache: memory.share is "freeze", "clone" or "reference"; got ${String(share)}`,
    );
  }
  return { maxEntries, maxBytes, share };
}
