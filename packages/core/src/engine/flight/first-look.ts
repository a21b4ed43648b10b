import type { TagRecord } from '../../memory/tag-records.ts';
import type { AcquireRequest, Acquisition, RemoteEntry } from '../../ports/remote-tier.ts';
import { decodedValue, type HeldEntry, holdFound } from '../hold.ts';
import { acquisitionOf, forsake, licenceOf } from '../load/lease.ts';
import { type Landing, Load } from '../load/load.ts';
import type { Found, Looker } from '../looks/looker.ts';
import type { Looks } from '../looks/looks.ts';
import type { EngineParts, Outcome } from '../parts.ts';
import type { ReadRequest } from '../read-request.ts';
import type { Asker } from '../steps/asks.ts';
import { Flight } from '../steps/single-flight.ts';
import { begin, fail, settle, settleHit } from './course.ts';
import { sparedLoad } from './spared-load.ts';
import { type Seen, throughRemote } from './through-remote.ts';
import { withoutRemote } from './without-remote.ts';

/** After so many reads in a row that found nothing, the next one asks for the load without looking first. */
const missesToExpect = 8;

/**
 * Starts the one flight of this process behind an entry that is served meanwhile, unless there is one or the loader is left
 * alone for now: a refresh of what is no longer fresh, or the renewal of a fresh entry that ends soon.
 */
export function launchBehind(parts: EngineParts, request: ReadRequest, renewed?: HeldEntry): void {
  const { wire } = request.key;
  const flies = parts.flights.refreshOf(wire) !== undefined || parts.flights.get(wire) !== undefined;
  if (flies || parts.failures.paused(wire)) return;
  if (renewed === undefined) launch(parts, { ...request, minClock: 0 }, true);
  else launch(parts, { ...request, minClock: 0, renews: true, replaces: renewed.version }, true);
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
          settleHit(parts, flight, request, value, fresh, parts.time.toLocal(fresh.freshUntil));
          return;
        }
      }
      const entry = fresh === undefined ? holdFound(parts, flight, request, found) : undefined;
      if (entry !== undefined && request.renews === undefined) {
        if (now < entry.quietUntil && now < entry.freshUntil) {
          settleHit(parts, flight, request, entry.value, entry, entry.freshUntil);
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
    } else finish(parts, flight, request, throughRemote(parts, flight, request, seen, launchBehind));
  }
}

const unseen: Found = { read: { state: 'absent' }, valid: undefined, others: [] };

function finish(
  parts: EngineParts,
  flight: Flight<Outcome>,
  request: ReadRequest,
  work: Promise<Outcome>,
): void {
  work.then(
    (outcome) => settle(parts, flight, request, outcome),
    (error) => fail(parts, flight, request, error),
  );
}
