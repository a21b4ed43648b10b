import type { Clock, DueQueue, RedisArgument, RedisExecutor, RedisScript, Timer } from '@cachekit/core';
import { RateLimitStoreError } from '../errors.ts';
import { noAnswer } from './no-answer.ts';
import { numbersOf } from './numbers-of.ts';

/** One check on its way to Redis. */
export interface Passenger {
  readonly keys: readonly string[];
  /** How many values of the reply are its own. */
  readonly width: number;
  triedBefore: boolean;
  /**
   * @param at - Where in the reply its own values begin; they may be changed.
   * @returns False if it has to be sent again: the edges of its windows were not those of the server's time.
   */
  arrived(reply: unknown[], at: number): boolean;
  failed(error: unknown): void;
}

/** What checks that travel together tell Redis. */
export interface Cargo<Kind extends Passenger> {
  scriptOf(passengers: readonly Kind[]): RedisScript;
  pushArgs(args: RedisArgument[], passengers: readonly Kind[], serverNow: number): void;
}

/** A script call under way. */
export interface Call {
  /** It was answered, or given up. */
  over: boolean;
  /** Gives it up. */
  late(): void;
}

/**
 * One more turn of the event loop is allowed: after a loop that was blocked for longer than the timeout, an answer that waits
 * in the socket is read before Redis is called unavailable.
 */
export function giveUpSoon(call: Call, clock: Clock): void {
  clock.setTimeout(() => call.late(), 1);
}

/** What lanes of one session share. */
export interface Road {
  readonly redis: RedisExecutor;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Calls that have all of that time. */
  readonly calls: DueQueue<Call>;
  readonly serverClock: { toServer(now: number): number; learned(serverNow: number): void };
  /** There was an answer, be it a refusal. */
  answered(slot: number): void;
  /** How many checks there was no answer to, one of them for `key`. */
  unanswered(slot: number, key: string, checks: number): void;
}

/** Most checks in one script call: more would hold up others in Redis, for less than is gained. */
const mostTogether = 128;
/** So many leave behind a call that is under way, so that Redis works while its last answers are read. */
const worthACall = 32;
/** How long after an answer those who ask are taken for those who were answered. */
const steadyMs = 1;
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
 * Under a steady load two calls take turns, so that Redis is at one while this process is at the other: what was asked
 * right after an answer leaves as soon as it is 32 checks, and in two halves if nothing else is under way. Where a call
 * is a request over HTTP, each has a price of its own, and there is one.
 *
 * A call that is not answered within the timeout fails all of its checks, and tells the script by when it must have
 * begun: what Redis reads later than that, it does not count.
 */
export class Lane<Kind extends Passenger> {
  readonly #slot: number;
  readonly #road: Road;
  readonly #cargo: Cargo<Kind>;
  readonly #idle: () => void;
  #waiting: Kind[] = [];
  #since = 0;
  #underWay = 0;
  #checksUnderWay = 0;
  /** How many checks were under way when the last call left. */
  #load = 0;
  #leaving = false;
  #answeredAt = 0;
  /** One check of those that left last: an engine drops the code it made for objects of which it finds none. */
  readonly #kept: { passenger?: Kind | undefined } = {};
  #linger: ReturnType<Clock['setTimeout']> | undefined;

  /** @param idle - Called when there is nothing to do. */
  constructor(slot: number, road: Road, cargo: Cargo<Kind>, idle: () => void) {
    this.#slot = slot;
    this.#road = road;
    this.#cargo = cargo;
    this.#idle = idle;
  }

  add(passenger: Kind): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) this.#since = this.#road.clock.now();
    waiting.push(passenger);
    if (waiting.length === mostTogether) this.#leave();
    else if (this.#leaving) return;
    else if (this.#underWay === 0 || (waiting.length === worthACall && this.#overlaps(1))) {
      this.#leaving = true;
      queueMicrotask(this.#leaveAll);
    } else if (waiting.length === 1) this.#linger = this.#road.clock.setTimeout(this.#leave, lingerMs);
  }

  /** Whether a call that leaves now takes turns with the one other that is under way, or will be. */
  #overlaps(underWay: 0 | 1): boolean {
    const { redis, clock } = this.#road;
    if (this.#underWay !== underWay || this.#load <= worthACall || !redis.capabilities.subscribe)
      return false;
    return Math.abs(clock.now() - this.#answeredAt) <= steadyMs;
  }

  readonly #leaveAll = (): void => {
    this.#leaving = false;
    this.#leave();
    if (this.#waiting.length >= worthACall) this.#leave();
  };

  readonly #leave = (): void => {
    if (this.#linger !== undefined) {
      this.#road.clock.clearTimeout(this.#linger);
      this.#linger = undefined;
    }
    const passengers = this.#waiting;
    if (passengers.length === 0) return;
    const half = Math.max(worthACall, this.#load >> 1);
    const splits = passengers.length - half >= worthACall && this.#overlaps(0);
    this.#waiting = splits ? passengers.splice(half) : [];
    this.#travel(passengers, this.#since, true);
  };

  #travel(passengers: readonly Kind[], since: number, again: boolean): void {
    const { redis, clock, timeoutMs, serverClock, calls } = this.#road;
    const now = clock.now();
    const leftMs = Math.max(0, Math.min(timeoutMs, since + timeoutMs - now));
    const deadline = Math.floor(serverClock.toServer(now + leftMs));
    const args: RedisArgument[] = [deadline];
    this.#cargo.pushArgs(args, passengers, deadline === 0 ? now : serverClock.toServer(now));
    const keys = keysOf(passengers);
    this.#kept.passenger = passengers[0];
    const call: Call = {
      over: false,
      late: () => {
        if (call.over) return;
        call.over = true;
        this.#returned(passengers);
        const error = noAnswer(timeoutMs);
        this.#road.unanswered(this.#slot, keys[0] as string, passengers.length);
        for (const passenger of passengers) passenger.failed(error);
      },
    };
    this.#underWay++;
    this.#checksUnderWay += passengers.length;
    this.#load = this.#checksUnderWay;
    // Those that have waited have less time left than those whose time is shared.
    let timer: Timer | undefined;
    if (leftMs === timeoutMs) calls.add(call);
    else timer = clock.setTimeout(() => giveUpSoon(call, clock), leftMs);
    const answered = (): boolean => {
      if (call.over) return false;
      call.over = true;
      calls.delete(call);
      clock.clearTimeout(timer);
      this.#returned(passengers);
      return true;
    };
    redis.script(this.#cargo.scriptOf(passengers), keys, args).then(
      (replied) => {
        const reply = typeof replied === 'string' ? (numbersOf(replied) ?? replied) : replied;
        if (Array.isArray(reply) && Number.isSafeInteger(reply[0])) serverClock.learned(reply[0]);
        if (!answered()) return;
        this.#road.answered(this.#slot);
        this.#deliver(passengers, reply, since, again);
      },
      (error: unknown) => {
        if (answered()) this.#fail(passengers, error, since);
      },
    );
  }

  #deliver(passengers: readonly Kind[], reply: unknown, since: number, again: boolean): void {
    if (!Array.isArray(reply) || reply.length === 0) {
      this.#failAll(passengers, new TypeError(`The limit script answered ${JSON.stringify(reply)}`));
    } else if (reply.length === 1) {
      // Our idea of the server's clock was wrong; now it is right.
      if (again) this.#travel(passengers, since, false);
      else this.#failAll(passengers, clockMoves());
    } else {
      let at = 1;
      for (const passenger of passengers) {
        try {
          if (!passenger.arrived(reply, at)) this.#again(passenger);
        } catch (error) {
          // What nobody can read fails alone.
          passenger.failed(error);
        }
        at += passenger.width;
      }
    }
  }

  #again(passenger: Kind): void {
    if (passenger.triedBefore) passenger.failed(clockMoves());
    else {
      passenger.triedBefore = true;
      this.add(passenger);
    }
  }

  #fail(passengers: readonly Kind[], error: unknown, since: number): void {
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

  #failAll(passengers: readonly Kind[], error: unknown): void {
    for (const passenger of passengers) passenger.failed(error);
  }

  #returned(passengers: readonly Kind[]): void {
    this.#underWay--;
    this.#checksUnderWay -= passengers.length;
    this.#answeredAt = this.#road.clock.now();
    if (this.#underWay > 1) return;
    if (this.#waiting.length > 0) this.#leaveAfter(turns);
    else if (this.#underWay === 0) this.#idle();
  }

  #leaveAfter(turn: number): void {
    if (turn === 0) {
      if (this.#underWay === 0 || (this.#waiting.length >= worthACall && this.#overlaps(1))) this.#leaveAll();
    } else queueMicrotask(() => this.#leaveAfter(turn - 1));
  }
}

function clockMoves(): Error {
  return new RateLimitStoreError('redis', 'The clock of redis moves too fast');
}

function keysOf(passengers: readonly Passenger[]): readonly string[] {
  if (passengers.length === 1) return (passengers[0] as Passenger).keys;
  const all: string[] = [];
  for (const { keys } of passengers) for (let i = 0; i < keys.length; i++) all.push(keys[i] as string);
  return all;
}

/** Whether Redis answered, though with a no. Replies that are errors pass every executor unchanged. */
function isReply(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'ReplyError' || /^[A-Z]+ /.test(error.message);
}
