import { Cancellation } from '../../async/cancellation.ts';
import { TransientMap } from '../../async/transient-map.ts';
import type { TagRecord } from '../../memory/tag-records.ts';
import { type Clock, stayAwake } from '../../ports/clock.ts';
import type { TierClock } from '../../ports/remote-tier.ts';

/** What a flight does at the moment. While it waits it has nothing to answer with: what it reads next is the answer. */
export type FlightPhase = 'starting' | 'reading' | 'waiting' | 'loading' | 'landed';

const none: readonly TagRecord[] = [];

/** The one attempt of this process to get the value of a key, shared by all who ask meanwhile. */
export class Flight<Outcome extends { readonly value: unknown }> {
  readonly wire: string;
  readonly tags: readonly TagRecord[];
  /** Tags that the entry it found carries besides. */
  others: readonly TagRecord[] = none;
  /** Whether it refreshes an entry that is served meanwhile, so that nobody has to wait for it. */
  readonly behind: boolean;
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
  /** A tag was invalidated by this process meanwhile that its loader may add: who joins now waits to hear whether it did. */
  doubted = false;
  /** When its load began, by the tier's clock. */
  clock: TierClock = 0;
  /** What the remote tier knows its load by, while it holds the lease. */
  token: string | undefined;
  /** What goes on after it is settled. */
  tail: Promise<unknown> | undefined;
  /** Whether others may join it, and the next flight of the key; set by {@link SingleFlight}. */
  open = false;
  next: Flight<Outcome> | undefined;

  /** Callers of {@link Flight.value}. */
  takers = 0;
  /** Whether it has answered those who wait. */
  settled = false;
  #cancellation: Cancellation | undefined;
  #stays = false;
  #callers = 0;
  #whole: PromiseWithResolvers<Outcome> | undefined;
  #value: PromiseWithResolvers<unknown> | undefined;
  #woken = false;
  #wake: (() => void) | undefined;

  constructor(wire: string, tags: readonly TagRecord[], behind: boolean) {
    this.wire = wire;
    this.tags = tags;
    this.behind = behind;
  }

  /** Made when somebody asks for it: most flights land without. */
  get cancellation(): Cancellation {
    this.#cancellation ??= new Cancellation();
    return this.#cancellation;
  }

  throwIfAborted(): void {
    this.#cancellation?.throwIfAborted();
  }

  /** Whether anybody asked for it who cannot leave, or has not left. */
  get wanted(): boolean {
    return this.#stays || this.#callers > 0;
  }

  /** Before it is settled: the value, the same promise for all who cannot leave and need no more than that. */
  value(): Promise<unknown> {
    this.#stays = true;
    this.takers++;
    this.#value ??= Promise.withResolvers();
    return this.#value.promise;
  }

  /**
   * The outcome for one more caller. A caller with a signal leaves alone when it aborts; when the last one has left, the
   * flight is given up.
   */
  join(signal: AbortSignal | undefined, abandoned: (reason: unknown) => void): Promise<Outcome> {
    const { promise } = this.#outcome();
    if (signal === undefined) {
      this.#stays = true;
      return promise;
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
      promise.then(
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

  resolve(outcome: Outcome): void {
    this.settled = true;
    // With a tail somebody may still join.
    if (this.tail !== undefined) this.#outcome();
    this.#whole?.resolve(outcome);
    this.#value?.resolve(outcome.value);
  }

  /** As {@link Flight.resolve}, where nobody but those of {@link Flight.value} waits; otherwise it does nothing. */
  resolveValue(value: unknown): boolean {
    if (this.#whole !== undefined || this.tail !== undefined) return false;
    this.settled = true;
    this.#value?.resolve(value);
    return true;
  }

  reject(error: unknown): void {
    this.settled = true;
    if (this.tail !== undefined) this.#outcome().promise.catch(nothing);
    this.#whole?.reject(error);
    this.#value?.reject(error);
  }

  /** The read or load that begins now has heard of nothing yet. */
  begin(phase: 'reading' | 'loading', epoch: number, asOf: number): void {
    this.phase = phase;
    this.touched = false;
    this.overtaken = false;
    this.doubted = false;
    if (phase === 'reading') this.#woken = false;
    this.epoch = epoch;
    this.asOf = asOf;
  }

  /** Somebody changed the key: if it waits for that, or will after the present read, the waiting is over. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Waits until it is woken, which it may have been since the last read began; until `delayMs` are over; or until it is given up. */
  pause(clock: Clock, delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#woken || this.cancellation.aborted) return resolve();
      // Over HTTP no connection keeps a process alive whose caller waits.
      const rest = this.behind ? nothing : stayAwake();
      const done = () => {
        rest();
        clock.clearTimeout(timer);
        this.#wake = undefined;
        this.cancellation.onAbort = undefined;
        resolve();
      };
      const timer = clock.setTimeout(done, delayMs);
      this.#wake = done;
      this.cancellation.onAbort = done;
    });
  }

  #outcome(): PromiseWithResolvers<Outcome> {
    this.#whole ??= Promise.withResolvers();
    return this.#whole;
  }
}

function nothing(): void {}

/** The flights of one cache: per key at most one that may be joined and one refresh, and any number that were overtaken. */
export class SingleFlight<Outcome extends { readonly value: unknown }> {
  /** By key the youngest, which knows the next. */
  readonly #live = new TransientMap<string, Flight<Outcome>>();

  get(wire: string): Flight<Outcome> | undefined {
    return this.#open(wire, false);
  }

  /** The refresh of a key behind the entry that is served. */
  refreshOf(wire: string): Flight<Outcome> | undefined {
    return this.#open(wire, true);
  }

  /** All that have not landed, the overtaken ones among them. */
  *live(): Iterable<Flight<Outcome>> {
    for (const wire of this.#live.keys()) yield* this.liveOf(wire);
  }

  /** Those of one key. */
  liveOf(wire: string): readonly Flight<Outcome>[] {
    let flight = this.#live.get(wire);
    if (flight === undefined) return [];
    const flights: Flight<Outcome>[] = [];
    for (; flight !== undefined; flight = flight.next) flights.push(flight);
    return flights;
  }

  /** Whoever waits for a change of the key need not any more. */
  wake(wire: string): void {
    for (let flight = this.#live.get(wire); flight !== undefined; flight = flight.next) flight.wake();
  }

  add(flight: Flight<Outcome>): void {
    const before = this.#open(flight.wire, flight.behind);
    if (before !== undefined) before.open = false;
    flight.open = true;
    flight.next = this.#live.get(flight.wire);
    this.#live.set(flight.wire, flight);
  }

  /** From now on nobody joins it. */
  detach(flight: Flight<Outcome>): void {
    flight.open = false;
  }

  landed(flight: Flight<Outcome>): void {
    flight.phase = 'landed';
    flight.open = false;
    const first = this.#live.get(flight.wire);
    if (first === flight) {
      if (flight.next === undefined) this.#live.delete(flight.wire);
      else this.#live.set(flight.wire, flight.next);
      return;
    }
    for (let one = first; one !== undefined; one = one.next) {
      if (one.next === flight) one.next = flight.next;
    }
  }

  #open(wire: string, behind: boolean): Flight<Outcome> | undefined {
    for (let flight = this.#live.get(wire); flight !== undefined; flight = flight.next) {
      if (flight.open && flight.behind === behind) return flight;
    }
    return undefined;
  }
}
