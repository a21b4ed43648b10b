import { DueQueue, type RedisExecutor, withDeadline } from '@cachekit/core';
import type { Algorithm } from '../algorithms/algorithm.ts';
import type { Policy } from '../algorithms/policy.ts';
import { RateLimitStoreError } from '../errors.ts';
import { Breaker } from './breaker.ts';
import { hashSlot } from './hash-slot.ts';
import { type Cargo, giveUpSoon, type Road } from './lane.ts';
import { Lanes } from './lanes.ts';
import { limitScript, mostTaken, takeScript } from './limit-script.ts';
import { noAnswer } from './no-answer.ts';
import { type Errand, Other, Take } from './passengers.ts';
import { ServerClock } from './server-clock.ts';
import { groupsOf, notAsked, restored } from './slot-groups.ts';
import type {
  BlockRequest,
  LimitRequest,
  LimitSession,
  PolicyAnswer,
  StoreAnswer,
  StoreContext,
} from './store.ts';

// Masters own ranges of slots, so that slots with the same upper bits mostly fail together.
const slotsPerBreaker = 256;

/** How far a check of several slots is. */
interface Progress {
  /** Why nobody waits for it any more. */
  late: Error | undefined;
  denial: StoreAnswer | undefined;
}

/** The store as one limiter uses it: lanes of checks to Redis, and a breaker in front of them. */
export class RedisSession implements LimitSession {
  readonly #redis: RedisExecutor;
  readonly #context: StoreContext;
  readonly #takes: Lanes<Take>;
  readonly #others: Lanes<Other>;
  readonly #breakers = new Map<number, Breaker>();
  #open = 0;
  readonly #road: Road;

  constructor(redis: RedisExecutor, context: StoreContext) {
    this.#redis = redis;
    this.#context = context;
    this.#road = {
      redis,
      clock: context.clock,
      timeoutMs: context.timeoutMs,
      calls: new DueQueue(context.clock, context.timeoutMs, (call) => giveUpSoon(call, context.clock)),
      serverClock: new ServerClock(context.clock),
      answered: (slot) => this.#breakerOf(slot).succeeded(),
      unanswered: (slot, key, checks) => this.#breakerOf(slot).failed(checks, key),
    };
    this.#takes = new Lanes(this.#road, takeCargo);
    this.#others = new Lanes(this.#road, anyCargo);
  }

  check(request: LimitRequest): Promise<StoreAnswer> {
    if (!this.#redis.capabilities.cluster || request.keys.length === 1) return this.#board(request);
    const groups = groupsOf(request);
    if (groups.length === 1) return this.#board(request);
    return request.mode === 'take' ? this.#takeAcross(request, groups) : this.#askAcross(request, groups);
  }

  async block({ policies, keys, durationMs, reason }: BlockRequest): Promise<void> {
    const each = keys.map((key, i) =>
      this.#board({
        mode: 'block',
        policies: [policies[i] as Policy],
        keys: [key],
        cost: durationMs,
        at: [reason],
      }),
    );
    await Promise.all(each);
  }

  async reset(keys: readonly string[]): Promise<void> {
    const { clock, timeoutMs } = this.#context;
    const forget = (key: string): Promise<unknown> =>
      this.#breakerOf(this.#slotOf(key)).allows(key)
        ? withDeadline(this.#redis.command('DEL', key), timeoutMs, clock, () => noAnswer(timeoutMs))
        : Promise.reject(notAskedError());
    await Promise.all(keys.map(forget));
  }

  #slotOf(key: string): number {
    return this.#redis.capabilities.cluster ? hashSlot(key) : 0;
  }

  #board(errand: Errand): Promise<StoreAnswer> {
    const key = errand.keys[0] as string;
    const slot = this.#slotOf(key);
    if (!this.#breakerOf(slot).allows(key)) return Promise.reject(notAskedError());
    return new Promise((resolve, reject) => {
      if (isTake(errand)) {
        this.#takes.of(slot, versionsOf(errand.policies)).add(new Take(errand, resolve, reject));
      } else this.#others.of(slot, 'any').add(new Other(errand, resolve, reject));
    });
  }

  /** One slot after the other, all in the time of one. */
  async #takeAcross(request: LimitRequest, groups: readonly (readonly number[])[]): Promise<StoreAnswer> {
    const { clock, timeoutMs } = this.#context;
    const progress: Progress = { late: undefined, denial: undefined };
    const late = (): Error => {
      progress.late = noAnswer(timeoutMs);
      return progress.late;
    };
    try {
      return await withDeadline(this.#takeEach(request, groups, progress), timeoutMs, clock, late);
    } catch (error) {
      // What is not given back in time makes no other answer of a no.
      if (progress.denial !== undefined) return progress.denial;
      throw error;
    }
  }

  /** What was taken is given back if a later slot says no or fails, or if nobody waits any more. */
  async #takeEach(
    request: LimitRequest,
    groups: readonly (readonly number[])[],
    progress: Progress,
  ): Promise<StoreAnswer> {
    const steps: PolicyAnswer[] = request.policies.map(notAsked);
    const taken: {
      readonly group: readonly number[];
      readonly part: LimitRequest;
      readonly steps: readonly PolicyAnswer[];
    }[] = [];
    let denied = false;
    try {
      for (const group of groups) {
        const part = partOf(request, group);
        const answer = await this.#board(part);
        for (const [i, index] of group.entries()) {
          const step = answer.steps[i] as PolicyAnswer;
          steps[index] = step;
          if (!step.fits && !(request.policies[index] as Policy).shadow) denied = true;
        }
        if (denied) break;
        taken.push({ group, part, steps: answer.steps });
        if (progress.late !== undefined) throw progress.late;
      }
    } catch (error) {
      await Promise.allSettled(taken.map(({ part, steps: each }) => this.#undo(part, each)));
      throw error;
    }
    if (!denied) return { steps, atomic: false };
    for (const { group, part, steps: each } of taken) {
      for (const [i, index] of group.entries()) {
        steps[index] = restored(each[i] as PolicyAnswer, part.policies[i] as Policy, request.cost);
      }
    }
    progress.denial = { steps, atomic: false };
    // What cannot be given back stays taken: nobody passes who should not.
    await Promise.allSettled(taken.map(({ part, steps: each }) => this.#undo(part, each)));
    return progress.denial;
  }

  #undo(part: LimitRequest, steps: readonly PolicyAnswer[]): Promise<StoreAnswer> {
    // A shadow policy that said no took nothing.
    const took = steps.flatMap(({ fits }, i) => (fits ? [i] : []));
    return this.#board({ ...partOf(part, took), mode: 'give', at: took.map((i) => steps[i]?.at) });
  }

  async #askAcross(request: LimitRequest, groups: readonly (readonly number[])[]): Promise<StoreAnswer> {
    const answers = await Promise.all(groups.map((group) => this.#board(partOf(request, group))));
    const steps: PolicyAnswer[] = [];
    for (const [i, group] of groups.entries()) {
      for (const [j, index] of group.entries()) {
        const step = answers[i]?.steps[j];
        if (step !== undefined) steps[index] = step;
      }
    }
    return { steps, atomic: false };
  }

  #breakerOf(slot: number): Breaker {
    const bucket = Math.floor(slot / slotsPerBreaker);
    let breaker = this.#breakers.get(bucket);
    if (breaker === undefined) {
      breaker = new Breaker(
        this.#context.clock,
        (key) => this.#probe(key),
        (closed) => this.#changed(closed),
      );
      this.#breakers.set(bucket, breaker);
    }
    return breaker;
  }

  #changed(closed: boolean): void {
    const before = this.#open;
    this.#open += closed ? -1 : 1;
    if (before === 0 || this.#open === 0) this.#context.onAvailable(closed);
  }

  /** Asks for nothing: the deadline has passed, so the script replies its time alone. */
  async #probe(key: string): Promise<void> {
    const { clock, timeoutMs } = this.#context;
    const reply = await withDeadline(this.#redis.script(probeScript, [key], [1]), timeoutMs, clock, () =>
      noAnswer(timeoutMs),
    );
    if (!Array.isArray(reply) || !Number.isSafeInteger(reply[0])) throw new TypeError('Not the limit script');
    this.#road.serverClock.learned(reply[0]);
  }
}

function notAskedError(): RateLimitStoreError {
  return new RateLimitStoreError('redis', 'Redis does not answer, and is not asked until it does');
}

const probeScript = limitScript([]);

const takeCargo: Cargo<Take> = {
  scriptOf: (passengers) =>
    takeScript((passengers[0] as Take).errand.policies.map(({ algorithm }) => algorithm)),
  pushArgs(args, passengers, serverNow): void {
    const first = passengers[0] as Take;
    const alike = passengers.every((passenger) => first.isLike(passenger));
    for (const passenger of alike ? [first] : passengers) passenger.pushArgs(args, serverNow);
  },
};

const anyCargo: Cargo<Other> = {
  scriptOf(passengers) {
    const algorithms = new Map<string, Algorithm>();
    for (const { errand } of passengers) {
      for (const { algorithm } of errand.policies) algorithms.set(algorithm.version, algorithm);
    }
    return limitScript([...algorithms.values()].sort((a, b) => (a.version < b.version ? -1 : 1)));
  },
  pushArgs(args, passengers, serverNow): void {
    for (const passenger of passengers) passenger.pushArgs(args, serverNow);
  },
};

function isTake({ mode, policies }: Errand): boolean {
  if (mode !== 'take' || policies.length > mostTaken) return false;
  for (const { shadow } of policies) if (shadow) return false;
  return true;
}

/** Checks with equal ones travel together. */
function versionsOf(policies: readonly Policy[]): string {
  let versions = (policies[0] as Policy).algorithm.version;
  for (let i = 1; i < policies.length; i++) versions += (policies[i] as Policy).algorithm.version;
  return versions;
}

function partOf(request: LimitRequest, indexes: readonly number[]): LimitRequest {
  return {
    ...request,
    policies: indexes.map((index) => request.policies[index] as Policy),
    keys: indexes.map((index) => request.keys[index] as string),
    at: request.at && indexes.map((index) => request.at?.[index]),
  };
}
