import type { TagRecord } from '../../memory/tag-records.ts';
import type { TierClock } from '../../ports/remote-tier.ts';

/** What a flight does at the moment. While it waits it has nothing to answer with: what it reads next is the answer. */
export type FlightPhase = 'starting' | 'reading' | 'waiting' | 'loading' | 'landed';

/** The one attempt of this process to get the value of a key, shared by all who ask meanwhile. */
export class Flight<Outcome> {
  readonly wire: string;
  readonly tags: readonly TagRecord[];
  /** Tags that the entry it found carries besides. */
  others: readonly TagRecord[] = [];
  /** Whether it refreshes an entry that is served meanwhile, so that nobody has to wait for it. */
  readonly behind: boolean;
  readonly controller: AbortController = new AbortController();
  /** The epoch of trust, and how many changes of tags had been heard, when the present read or load began. */
  epoch = 0;
  asOf = 0;
  phase: FlightPhase = 'starting';
  /** It loads without the remote tier, which did not answer. */
  degraded = false;
  /** Somebody changed the key or a tag since the present read or load began: memory must not be filled with it. */
  touched = false;
  /** An invalidation of this process overtook it: its value must not be stored anywhere. */
  overtaken = false;
  /** When its load began, by the tier's clock. */
  clock: TierClock = 0;
  /** What the remote tier knows its load by, while it holds the lease. */
  token: string | undefined;
  promise!: Promise<Outcome>;
  /** What goes on after `promise` is settled. */
  tail: Promise<unknown> | undefined;

  #stays = false;
  #callers = 0;

  constructor(wire: string, tags: readonly TagRecord[], behind: boolean) {
    this.wire = wire;
    this.tags = tags;
    this.behind = behind;
  }

  /** Whether anybody asked for it who cannot leave, or has not left. */
  get wanted(): boolean {
    return this.#stays || this.#callers > 0;
  }

  /**
   * The outcome for one more caller. A caller with a signal leaves alone when it aborts; when the last one has left,
   * the flight is given up.
   */
  join(signal: AbortSignal | undefined, abandoned: (reason: unknown) => void): Promise<Outcome> {
    if (signal === undefined) {
      this.#stays = true;
      return this.promise;
    }
    this.#callers++;
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#callers--;
        if (!this.wanted) abandoned(signal.reason);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      const settle = () => signal.removeEventListener('abort', leave);
      this.promise.then(
        (outcome) => {
          settle();
          resolve(outcome);
        },
        (error) => {
          settle();
          reject(error);
        },
      );
    });
  }
}

/** The flights of one cache: per key at most one that may be joined and one refresh, and any number that were overtaken. */
export class SingleFlight<Outcome> {
  readonly #joinable = new Map<string, Flight<Outcome>>();
  readonly #refreshes = new Map<string, Flight<Outcome>>();
  readonly #live = new Map<string, Set<Flight<Outcome>>>();

  get(wire: string): Flight<Outcome> | undefined {
    return this.#joinable.get(wire);
  }

  /** The refresh of a key behind the entry that is served. */
  refreshOf(wire: string): Flight<Outcome> | undefined {
    return this.#refreshes.get(wire);
  }

  /** All that have not landed, the overtaken ones among them. */
  *live(): Iterable<Flight<Outcome>> {
    for (const flights of this.#live.values()) yield* flights;
  }

  /** Those of one key. */
  liveOf(wire: string): Iterable<Flight<Outcome>> {
    return this.#live.get(wire) ?? [];
  }

  add(flight: Flight<Outcome>): void {
    this.#of(flight).set(flight.wire, flight);
    this.watch(flight);
  }

  /** Follows a flight that nobody joins, so that what overtakes it is seen. */
  watch(flight: Flight<Outcome>): void {
    const flights = this.#live.get(flight.wire);
    if (flights === undefined) this.#live.set(flight.wire, new Set([flight]));
    else flights.add(flight);
  }

  /** From now on nobody joins it. */
  detach(flight: Flight<Outcome>): void {
    const flights = this.#of(flight);
    if (flights.get(flight.wire) === flight) flights.delete(flight.wire);
  }

  landed(flight: Flight<Outcome>): void {
    flight.phase = 'landed';
    this.detach(flight);
    const flights = this.#live.get(flight.wire);
    flights?.delete(flight);
    if (flights?.size === 0) this.#live.delete(flight.wire);
  }

  #of(flight: Flight<Outcome>): Map<string, Flight<Outcome>> {
    return flight.behind ? this.#refreshes : this.#joinable;
  }
}
