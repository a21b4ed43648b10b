import type { Clock, RedisArgument, RedisExecutor, RedisScript } from '@cachekit/core';
import { RateLimitStoreError } from '../errors.ts';

/** One check on its way to Redis. */
export interface Passenger {
  readonly keys: readonly string[];
  pushArgs(args: RedisArgument[], serverNow: number): void;
  /** @param at - Where in the reply the check's status stands. Returns how many values were its own. */
  arrived(reply: readonly unknown[], at: number): number;
  failed(error: unknown): void;
}

/** What lanes of one session share. */
export interface Road {
  readonly redis: RedisExecutor;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly serverClock: { toServer(now: number): number; learned(serverNow: number): void };
  /** There was an answer, be it a refusal. */
  answered(slot: number): void;
  /** How many checks there was no answer to, one of them for `key`. */
  unanswered(slot: number, key: string, checks: number): void;
  /** The lane of that name has nothing to do. */
  idle(lane: string): void;
}

/** Most checks in one script call: more would hold up others in Redis, for less than is gained. */
const mostTogether = 128;
/** Checks behind a call that is under way leave without its answer after this. */
const lingerMs = 5;
/** So many turns of the promise queue let those who have just been answered ask again before the next call leaves. */
const turns = 12;

/**
 * Checks that may travel in one script call: of one slot and one script.
 *
 * The first leaves at the end of the current turn, together with all that were begun in it. Those begun while a call
 * is under way leave together when it is back, when they are 128, or after 5 ms.
 *
 * A call that is not answered within the timeout fails all of its checks, and tells the script by when it must have
 * begun: what Redis reads later than that, it does not count.
 */
export class Lane {
  readonly #name: string;
  readonly #slot: number;
  readonly #road: Road;
  readonly #scriptOf: (passengers: readonly Passenger[]) => RedisScript;
  #waiting: Passenger[] = [];
  #since = 0;
  #underWay = 0;
  #leaving = false;
  #linger: ReturnType<Clock['setTimeout']> | undefined;

  constructor(
    name: string,
    slot: number,
    road: Road,
    scriptOf: (passengers: readonly Passenger[]) => RedisScript,
  ) {
    this.#name = name;
    this.#slot = slot;
    this.#road = road;
    this.#scriptOf = scriptOf;
  }

  add(passenger: Passenger): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) this.#since = this.#road.clock.now();
    waiting.push(passenger);
    if (waiting.length === mostTogether) this.#leave();
    else if (waiting.length > 1 || this.#leaving) return;
    else if (this.#underWay === 0) {
      this.#leaving = true;
      queueMicrotask(this.#leave);
    } else this.#linger = this.#road.clock.setTimeout(this.#leave, lingerMs);
  }

  readonly #leave = (): void => {
    this.#leaving = false;
    if (this.#linger !== undefined) {
      this.#road.clock.clearTimeout(this.#linger);
      this.#linger = undefined;
    }
    const passengers = this.#waiting;
    if (passengers.length === 0) return;
    this.#waiting = [];
    this.#travel(passengers, this.#since, true);
  };

  #travel(passengers: readonly Passenger[], since: number, again: boolean): void {
    const { redis, clock, timeoutMs, serverClock } = this.#road;
    const now = clock.now();
    const leftMs = Math.max(0, Math.min(timeoutMs, since + timeoutMs - now));
    const deadline = Math.floor(serverClock.toServer(now + leftMs));
    const args: RedisArgument[] = [deadline];
    const serverNow = deadline === 0 ? now : serverClock.toServer(now);
    let keys: readonly string[] | string[];
    if (passengers.length === 1) {
      const passenger = passengers[0] as Passenger;
      keys = passenger.keys;
      passenger.pushArgs(args, serverNow);
    } else {
      const all: string[] = [];
      for (const passenger of passengers) {
        for (const key of passenger.keys) all.push(key);
        passenger.pushArgs(args, serverNow);
      }
      keys = all;
    }
    let over = false;
    this.#underWay++;
    // When the time is over, one more turn of the event loop is allowed: after a loop that was blocked for longer than
    // the timeout, an answer that waits in the socket is read before Redis is called unavailable.
    let timer = clock.setTimeout(() => {
      timer = clock.setTimeout(() => {
        over = true;
        this.#returned();
        const error = new RateLimitStoreError('redis', `No answer from redis within ${timeoutMs} ms`, {
          timedOut: true,
        });
        this.#road.unanswered(this.#slot, keys[0] as string, passengers.length);
        for (const passenger of passengers) passenger.failed(error);
      }, 1);
    }, leftMs);
    redis.script(this.#scriptOf(passengers), keys, args).then(
      (reply) => {
        if (Array.isArray(reply) && Number.isSafeInteger(reply[0])) serverClock.learned(reply[0]);
        if (over) return;
        clock.clearTimeout(timer);
        this.#returned();
        this.#road.answered(this.#slot);
        this.#deliver(passengers, reply, since, again);
      },
      (error: unknown) => {
        if (over) return;
        clock.clearTimeout(timer);
        this.#returned();
        this.#fail(passengers, error, since);
      },
    );
  }

  #deliver(passengers: readonly Passenger[], reply: unknown, since: number, again: boolean): void {
    if (!Array.isArray(reply) || reply.length === 0) {
      this.#failAll(passengers, new TypeError(`The limit script answered ${JSON.stringify(reply)}`));
    } else if (reply.length === 1) {
      // Our idea of the server's clock was wrong; now it is right.
      if (again) this.#travel(passengers, since, false);
      else this.#failAll(passengers, new RateLimitStoreError('redis', 'The clock of redis moves too fast'));
    } else {
      let at = 1;
      for (const passenger of passengers) at += passenger.arrived(reply, at);
    }
  }

  #fail(passengers: readonly Passenger[], error: unknown, since: number): void {
    if (!isReply(error)) {
      this.#road.unanswered(this.#slot, passengers[0]?.keys[0] as string, passengers.length);
    } else {
      this.#road.answered(this.#slot);
      // Refused for one of the keys, before anything was counted: the others go alone.
      if (passengers.length > 1 && (error as Error).message.startsWith('NOPERM')) {
        for (const passenger of passengers) this.#travel([passenger], since, true);
        return;
      }
    }
    this.#failAll(passengers, error);
  }

  #failAll(passengers: readonly Passenger[], error: unknown): void {
    for (const passenger of passengers) passenger.failed(error);
  }

  #returned(): void {
    this.#underWay--;
    if (this.#underWay > 0) return;
    if (this.#waiting.length > 0) this.#leaveAfter(turns);
    else this.#road.idle(this.#name);
  }

  #leaveAfter(turn: number): void {
    if (turn === 0) {
      if (this.#underWay === 0) this.#leave();
    } else queueMicrotask(() => this.#leaveAfter(turn - 1));
  }
}

/** Whether Redis answered, though with a no. Replies that are errors pass every executor unchanged. */
function isReply(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'ReplyError' || /^[A-Z]+ /.test(error.message);
}
