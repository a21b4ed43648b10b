import { LoadTimeoutError } from '../errors.ts';
import type { TagRecord } from '../memory/tag-records.ts';
import type { Clock } from '../ports/clock.ts';
import type { AcquireRequest, Acquisition, RemoteEntry, TierClock } from '../ports/remote-tier.ts';
import { decodedValue, type HeldEntry, holdFound, type OldValue, oldInMemory, servedOld } from './hold.ts';
import { type Landing, type Licence, Load, leaseMs, load } from './load.ts';
import { countOutcome } from './outcome.ts';
import type { EngineParts, Outcome } from './parts.ts';
import type { ReadRequest } from './read-request.ts';
import type { RemoteCall } from './remote-call.ts';
import { type Asker, Asks } from './steps/asks.ts';
import { freshness } from './steps/freshness.ts';
import type { Found, Looker, Looks } from './steps/looks.ts';
import { Flight } from './steps/single-flight.ts';
import { epochOf } from './steps/trust.ts';

/** Delay of the first poll of those who wait for another process, and of the last. */
const firstPollMs = 20;
const longestPollMs = 200;

/** After so many reads in a row that found nothing, the next one asks for the load without looking first. */
const missesToExpect = 8;

/** Starts the one refresh of this process behind an entry that is served stale. */
export function refreshBehind(parts: EngineParts, request: ReadRequest): void {
  if (mayBegin(parts, request.key.wire)) launch(parts, { ...request, minClock: 0 }, true);
}

/** Starts the one load of this process that begins before a fresh entry ends. */
export function renewAhead(parts: EngineParts, request: ReadRequest, entry: HeldEntry): void {
  if (!mayBegin(parts, request.key.wire)) return;
  launch(parts, { ...request, minClock: 0, renews: true, replaces: entry.version }, true);
}

function mayBegin({ flights, failures }: EngineParts, wire: string): boolean {
  return flights.refreshOf(wire) === undefined && flights.get(wire) === undefined && !failures.paused(wire);
}

/** Starts a flight for the key. `behind`: an entry is served meanwhile, and nobody has to wait. */
export function launch(parts: EngineParts, request: ReadRequest, behind: boolean): Flight<Outcome> {
  const { wire, tags } = request.key;
  const flight = new Flight<Outcome>(wire, parts.tags.retain(tags, parts.everything), behind);
  parts.flights.add(flight);
  parts.background.begin();
  if (parts.looks !== undefined) new FirstLook(parts, parts.looks, flight, request).begin();
  // A turn later, so that the flight can be joined before the loader runs.
  else queueMicrotask(() => finish(parts, flight, request, withoutRemote(parts, flight, request)));
  return flight;
}

/** What a flight sees first, and the load where that is nothing; most have their answer then. */
class FirstLook implements Looker, Asker<AcquireRequest, Acquisition>, Landing {
  readonly #parts: EngineParts;
  readonly #flight: Flight<Outcome>;
  readonly #request: ReadRequest;
  #found: Found | undefined;
  #asks: AcquireRequest | undefined;
  #seen: Seen | 'unreached' | undefined;
  #wake: (() => void) | undefined;

  constructor(parts: EngineParts, looks: Looks, flight: Flight<Outcome>, request: ReadRequest) {
    this.#parts = parts;
    this.#flight = flight;
    this.#request = request;
    this.#wait(looks.turn);
  }

  /** Where nothing is to be expected, to look for it first would be one call more. */
  begin(): void {
    const parts = this.#parts;
    const { wire, behind } = this.#flight;
    const { policy, state, renews } = this.#request;
    const held = behind || renews || policy.errorTtlMs > 0 || parts.memory.get(wire) !== undefined;
    if (held || state.misses < missesToExpect) parts.looks?.add(this);
    else this.#acquire(undefined);
  }

  get wire(): string {
    return this.#flight.wire;
  }

  get records(): readonly TagRecord[] {
    return this.#flight.tags;
  }

  sent(): void {
    begin(this.#parts, this.#flight, this.#asks === undefined ? 'reading' : 'loading');
  }

  found(found: Found): void {
    const parts = this.#parts;
    const flight = this.#flight;
    const request = this.#request;
    try {
      flight.others = found.others;
      flight.throwIfAborted();
      if (found.read.state === 'absent') request.state.misses++;
      else request.state.misses = 0;
      // A refresh began because the entry is no longer fresh, which the coarse clock may not know yet.
      const now = flight.behind ? parts.clock.now() : parts.coarse.now();
      const fresh = this.#onlyHas(found, now);
      if (fresh !== undefined) {
        const value = decodedValue(parts, request.key, fresh);
        if (value !== undefined) {
          settleHit(parts, flight, request, value, fresh.clock);
          return;
        }
      }
      const entry = fresh === undefined ? holdFound(parts, flight, request, found) : undefined;
      if (entry !== undefined && request.renews === undefined) {
        if (now < entry.quietUntil && now < entry.freshUntil) {
          settleHit(parts, flight, request, entry.value, entry.clock);
          return;
        }
      }
      if (entry === undefined && found.read.state !== 'leased' && request.renews === undefined) {
        this.#acquire(found);
      } else this.#goOn({ found, entry });
    } catch (error) {
      fail(parts, flight, request, error);
    }
  }

  failed(): void {
    this.#goOn('unreached');
  }

  get asks(): AcquireRequest {
    return this.#asks as AcquireRequest;
  }

  answered(answer: Acquisition, sentAt: number): void {
    if (answer.state === 'acquired') this.#parts.time.observe(answer.clock, sentAt);
    else if (this.#found === undefined) {
      this.#request.state.misses = 0;
      this.#asks = undefined;
      this.#parts.looks?.add(this);
      return;
    }
    this.#goOn({ found: this.#found ?? unseen, entry: undefined, answer });
  }

  unanswered(error: unknown): void {
    forsake(this.#parts, this.asks, error);
    this.#goOn('unreached');
  }

  settle(outcome: Outcome): void {
    settle(this.#parts, this.#flight, this.#request, outcome);
  }

  fail(error: unknown): void {
    fail(this.#parts, this.#flight, this.#request, error);
  }

  /** Asks to load what is not there, or is not expected to be. */
  #acquire(found: Found | undefined): void {
    const parts = this.#parts;
    sparedLoad(parts, this.#request, undefined);
    this.#found = found;
    this.#asks = acquisitionOf(parts, this.#flight, found);
    parts.acquires?.add(this);
  }

  /** An entry that is good for a hit and nothing else: there is no memory to keep it, and nothing begins ahead. */
  #onlyHas({ valid }: Found, now: number): RemoteEntry | undefined {
    const { memory, time } = this.#parts;
    const { renews, state, minClock } = this.#request;
    if (memory.maxEntries > 0 || renews || state.policy.refreshAhead > 0) return undefined;
    return valid !== undefined && valid.clock >= minClock && time.toTier(now) < valid.freshUntil
      ? valid
      : undefined;
  }

  /** In the async context of now, while answers arrive in that of whoever began the batch. */
  #wait({ promise, resolve }: PromiseWithResolvers<void>): void {
    this.#wake = resolve;
    void promise.then(() => {
      if (this.#seen !== undefined) this.#load(this.#seen);
      else if (!this.#flight.settled) this.#wait(Promise.withResolvers());
    });
  }

  #goOn(seen: Seen | 'unreached'): void {
    this.#seen = seen;
    this.#wake?.();
  }

  #load(seen: Seen | 'unreached'): void {
    const parts = this.#parts;
    const flight = this.#flight;
    const request = this.#request;
    if (seen === 'unreached') finish(parts, flight, request, withoutRemote(parts, flight, request));
    else if (seen.answer?.state === 'acquired') {
      const licence = licenceOf(this.asks, seen.answer.clock);
      new Load(parts, flight, request, licence, undefined, this).start();
    } else finish(parts, flight, request, throughRemote(parts, flight, request, seen));
  }
}

/** The load goes on without the tier, which may give the lease all the same: others would wait for nobody. */
function forsake({ background, remote }: EngineParts, { key, token }: AcquireRequest, error: unknown): void {
  if (remote !== undefined) background.run(remote.forsake(key, token, error));
}

/** What a first look found that is no answer yet. */
interface Seen {
  readonly found: Found;
  readonly entry: HeldEntry | undefined;
  /** What the tier said when it was asked for the load. */
  readonly answer?: Acquisition;
}

const unseen: Found = { read: { state: 'absent' }, valid: undefined, others: [] };

function acquisitionOf(
  parts: EngineParts,
  flight: Flight<Outcome>,
  found: Found | undefined,
): AcquireRequest {
  const { wire } = flight;
  const tags = wiresOf(flight.tags);
  const token = parts.tokens.next();
  if (found === undefined) return { key: wire, token, leaseMs, tags, unseen: true };
  const { read } = found;
  if (read.state !== 'entry') return { key: wire, token, leaseMs, tags };
  return { key: wire, token, leaseMs, tags, replaces: read.entry.version };
}

/** What is loaded in one tick often carries the same tags. */
let lastWires: readonly string[] = [];

/** Wire keys of the tags; the same list as the last time if they are the same. */
function wiresOf(records: readonly TagRecord[]): readonly string[] {
  let same = records.length === lastWires.length;
  for (let index = 0; same && index < records.length; index++) {
    same = records[index]?.wire === lastWires[index];
  }
  if (!same) lastWires = records.map(({ wire }) => wire);
  return lastWires;
}

function licenceOf({ token, tags = [] }: AcquireRequest, clock: TierClock): Licence {
  return { clock, token, degraded: false, tags };
}

function finish(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  work: Promise<Outcome>,
): void {
  work.then(
    (outcome) => settle(parts, flight, request, outcome),
    (error) => {
      if (!(error instanceof Unreached)) fail(parts, flight, request, error);
      else finish(parts, flight, request, withoutRemote(parts, flight, request));
    },
  );
}

function settleHit(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  value: unknown,
  clock: TierClock,
): void {
  if (flight.resolveValue(value)) {
    request.state.counters.remoteHits += flight.takers;
    ended(parts, flight);
  } else settle(parts, flight, request, { value, state: 'hit', from: 'remote', clock });
}

function settle(parts: EngineParts, flight: Flight<Outcome>, { state }: ReadRequest, outcome: Outcome): void {
  flight.resolve(outcome);
  for (let taker = 0; taker < flight.takers; taker++) countOutcome(state.counters, outcome);
  ended(parts, flight);
}

function fail(parts: EngineParts, flight: Flight<Outcome>, { state }: ReadRequest, error: unknown): void {
  flight.reject(error);
  state.counters.misses += flight.takers;
  ended(parts, flight);
}

function ended(parts: EngineParts, flight: Flight<Outcome>): void {
  const { tail } = flight;
  if (tail === undefined) land(parts, flight);
  else {
    const done = () => land(parts, flight);
    tail.then(done, done);
  }
}

/** Nothing that happens concerns the flight any more. */
function land({ flights, tags, background }: EngineParts, flight: Flight<Outcome>): void {
  flights.landed(flight);
  tags.release(flight.tags);
  tags.release(flight.others);
  // Those of this process who could not join it hear of its end even while nothing else is heard.
  flights.wake(flight.wire);
  background.end();
}

/** Nobody waits any more. */
export function abandon(parts: EngineParts, flight: Flight<Outcome>, reason: unknown): void {
  parts.flights.detach(flight);
  flight.cancellation.abort(reason);
}

/** The loader, where memory is all there is, or where the remote tier does not answer. */
async function withoutRemote(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
): Promise<Outcome> {
  const { remote } = parts;
  const old = oldInMemory(parts, request);
  const spared = sparedLoad(parts, request, old);
  if (spared !== undefined) return spared;
  const other = remote === undefined ? undefined : degradedLoad(parts, flight, request);
  if (other !== undefined) {
    return await other.join(flight.cancellation.signal, (reason) => abandon(parts, other, reason));
  }
  begin(parts, flight, 'loading');
  flight.degraded = remote !== undefined;
  const clock = remote === undefined ? parts.time.tick() : parts.time.estimate();
  const tags = wiresOf(flight.tags);
  const licence = { clock, token: undefined, degraded: remote !== undefined, tags };
  return await load(parts, flight, request, licence, old);
}

/** The load of another flight that did not reach the remote tier either, so that one loader runs for all of them. */
function degradedLoad(
  { flights }: EngineParts,
  flight: Flight<Outcome>,
  { minClock }: ReadRequest,
): Flight<Outcome> | undefined {
  for (const other of flights.liveOf(flight.wire)) {
    const usable = other.degraded && !other.overtaken && !other.cancellation.aborted;
    if (usable && other.clock >= minClock) return other;
  }
  return undefined;
}

/** What is answered without a load because the last one failed a moment ago. @throws The error of that load. */
function sparedLoad(
  parts: EngineParts,
  request: ReadRequest,
  old: OldValue | undefined,
): Outcome | undefined {
  const { key, policy, minClock, renews } = request;
  if (renews) return undefined;
  const life = old === undefined ? 'absent' : freshness(old, parts.clock.now(), policy);
  if (old !== undefined && life !== 'absent') {
    return parts.failures.paused(key.wire) ? servedOld(old) : undefined;
  }
  const failure = policy.errorTtlMs === 0 ? undefined : parts.failures.kept(key.wire, minClock);
  if (failure !== undefined) throw failure.error;
  return undefined;
}

/** The remote tier did not answer: the flight goes on without it. */
class Unreached extends Error {}

/** Wait for the process that loads, or become it, after the first look, which found nothing that is answered with at once. */
async function throughRemote(
  parts: EngineParts,
  flight: Flight<Outcome>,
  read: ReadRequest,
  seen: Seen,
): Promise<Outcome> {
  const { key, policy } = read;
  const remote = parts.remote as RemoteCall;
  const startedAt = parts.clock.now();
  // What a renewal replaces; any other version is what it asks for, whoever wrote it.
  let replaced = read.replaces;
  let { found, entry } = seen;
  let asked = seen.answer;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, longestPollMs)) {
    const life = entry === undefined ? 'absent' : freshness(entry, parts.clock.now(), policy);
    if (read.renews) {
      const version = found.read.state === 'entry' ? found.read.entry.version : '';
      replaced ??= version;
      if (entry !== undefined && life === 'fresh' && version !== replaced) {
        return { value: entry.value, state: 'hit', from: 'remote', clock: entry.clock };
      }
    } else if (entry !== undefined && life === 'fresh') {
      if (parts.clock.now() >= entry.quietUntil) {
        parts.flights.detach(flight);
        renewAhead(parts, read, entry);
      }
      return { value: entry.value, state: 'hit', from: 'remote', clock: entry.clock };
    }
    if (entry !== undefined && life === 'stale' && !flight.behind && !read.renews) {
      parts.flights.detach(flight);
      refreshBehind(parts, read);
      return servedOld({ ...entry, from: 'remote' });
    }
    const old: OldValue | undefined =
      entry === undefined || life === 'absent' ? undefined : { ...entry, from: 'remote' };
    const spared = sparedLoad(parts, read, old);
    if (spared !== undefined) return spared;
    let again = false;
    if (found.read.state !== 'leased') {
      const request = acquisitionOf(parts, flight, found);
      let answer = asked;
      asked = undefined;
      if (answer === undefined) {
        begin(parts, flight, 'loading');
        const sentAt = parts.clock.now();
        try {
          answer = await remote.read('acquire', (tier) => tier.acquire(request), key.wire);
        } catch (cause) {
          forsake(parts, request, cause);
          throw new Unreached('', { cause });
        }
        if (answer.state === 'acquired') {
          parts.time.observe(answer.clock, sentAt);
          return await load(parts, flight, read, licenceOf(request, answer.clock), old);
        }
      }
      // Somebody stored it between the read and now: look again at once, the first time.
      again = answer.state === 'entry' && pollMs === firstPollMs;
    }
    if (!again) {
      read.elsewhere?.();
      const waitedMs = parts.clock.now() - startedAt;
      const instead = read.renews ? undefined : old;
      if (instead !== undefined && waitedMs >= policy.softTimeoutMs) return servedOld(instead);
      if (waitedMs >= policy.hardTimeoutMs) {
        if (instead !== undefined) return servedOld(instead);
        throw new LoadTimeoutError(key.wire, policy.hardTimeoutMs);
      }
      const limitMs =
        instead === undefined ? policy.hardTimeoutMs : Math.min(policy.softTimeoutMs, policy.hardTimeoutMs);
      if (instead === undefined) flight.phase = 'waiting';
      await flight.pause(parts.clock, Math.min(pollMs, limitMs - waitedMs));
      flight.cancellation.throwIfAborted();
    }
    try {
      found = await lookAgain(parts, flight);
    } catch (cause) {
      throw new Unreached('', { cause });
    }
    entry = holdFound(parts, flight, read, found);
  }
}

/** What happens from the moment it is sent on is heard by the flight, so that nothing is missed before it waits again. */
async function lookAgain(parts: EngineParts, flight: Flight<Outcome>): Promise<Found> {
  const sent = () => begin(parts, flight, 'reading');
  const found = await (parts.looks as Looks).look(flight.wire, flight.tags, sent);
  parts.tags.release(flight.others);
  flight.others = found.others;
  flight.cancellation.throwIfAborted();
  return found;
}

/** Whatever happened before is no concern of the read or load that begins now. */
function begin(parts: EngineParts, flight: Flight<Outcome>, phase: 'reading' | 'loading'): void {
  flight.begin(phase, epochOf(parts.memory.epoch), parts.tags.changes);
}

/** Asks to load keys, for all that are missing in one tick together. */
export function acquiresOf(remote: RemoteCall, clock: Clock): Asks<AcquireRequest, Acquisition> {
  const { tier } = remote;
  const many = tier.partOf === undefined ? tier.acquireMany : undefined;
  return new Asks({
    now: () => clock.now(),
    one: (request) => remote.read('acquire', () => tier.acquire(request), request.key),
    ...(many && { many: (requests) => remote.read('acquire', () => many.call(tier, requests)) }),
    failure: (error) => remote.failure('acquire', error),
  });
}
