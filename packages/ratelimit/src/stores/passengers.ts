import type { RedisArgument } from '@cachekit/core';
import { returnableSteps, type Step } from '../algorithms/algorithm.ts';
import type { Policy } from '../algorithms/policy.ts';
import type { Passenger } from './lane.ts';
import type { LimitRequest, StoreAnswer } from './store.ts';

const outOfEdges = 3;
const none: StoreAnswer = { steps: [], atomic: true };

/** What a passenger carries: a check, or a block, whose cost is its length and whose `at` are its reasons. */
export type Errand = Pick<LimitRequest, 'keys' | 'policies' | 'cost' | 'returnable'> & {
  readonly mode: LimitRequest['mode'] | 'block';
  readonly at?: readonly (string | number | undefined)[] | undefined;
};

abstract class Traveller implements Passenger {
  readonly errand: Errand;
  triedBefore = false;
  protected readonly resolve: (answer: StoreAnswer) => void;
  protected readonly reject: (error: unknown) => void;

  constructor(errand: Errand, resolve: (answer: StoreAnswer) => void, reject: (error: unknown) => void) {
    this.errand = errand;
    this.resolve = resolve;
    this.reject = reject;
  }

  get keys(): readonly string[] {
    return this.errand.keys;
  }

  abstract readonly width: number;

  abstract pushArgs(args: RedisArgument[], serverNow: number): void;

  abstract arrived(reply: unknown[], at: number): boolean;

  failed(error: unknown): void {
    this.reject(error);
  }

  /** @param reply - Begins with the time of the server, from which the times of the steps count. */
  protected answer(steps: readonly Step[], reply: readonly unknown[]): void {
    const { returnable } = this.errand;
    this.resolve({ steps: returnable ? returnableSteps(steps, reply[0] as number) : steps, atomic: true });
  }
}

/** A check that takes, the most frequent: what `takeScript()` reads and replies. */
export class Take extends Traveller {
  get width(): number {
    return widthOf(this.errand.policies);
  }

  /** Whether both give the script the same numbers. */
  isLike({ errand: { policies, cost } }: Take): boolean {
    const own = this.errand;
    if (cost !== own.cost) return false;
    for (let i = 0; i < policies.length; i++) if (policies[i] !== own.policies[i]) return false;
    return true;
  }

  pushArgs(args: RedisArgument[], serverNow: number): void {
    const { policies, cost } = this.errand;
    args.push(cost);
    for (const policy of policies) policy.algorithm.pushArgs(args, policy, serverNow);
  }

  arrived(reply: unknown[], at: number): boolean {
    const first = reply[at];
    if (first === null) return false;
    // Errors begin with a letter; what begins with a number says why a key is blocked.
    const blocked = typeof first === 'string' && /^\d/.test(first);
    if (typeof first !== 'number' && !blocked) this.reject(refused(first));
    else {
      const denied = blocked || (first as number) < 0;
      if (denied && !blocked) reply[at] = -1 - (first as number);
      const { policies, cost } = this.errand;
      const steps = stepsOf(policies, reply, at, cost, false);
      if (isDenied(policies, steps) !== denied) this.reject(unexpected(reply));
      else {
        if (denied && steps.length > 1) lookInstead(steps, policies, reply, at);
        this.answer(steps, reply);
      }
    }
    return true;
  }
}

/** Any other errand: what `limitScript()` reads and replies. */
export class Other extends Traveller {
  get width(): number {
    return this.#asks ? 1 + widthOf(this.errand.policies) : 1;
  }

  get #asks(): boolean {
    return this.errand.mode !== 'give' && this.errand.mode !== 'block';
  }

  pushArgs(args: RedisArgument[], serverNow: number): void {
    const { mode, cost, keys, policies, at } = this.errand;
    args.push(mode, cost, keys.length);
    for (let i = 0; i < policies.length; i++) {
      const policy = policies[i] as Policy;
      args.push(policy.algorithm.version, policy.shadow ? 1 : 0, at?.[i] ?? '');
      policy.algorithm.pushArgs(args, policy, serverNow);
    }
  }

  arrived(reply: unknown[], at: number): boolean {
    const status = reply[at];
    if (status === outOfEdges) return false;
    if (status !== 0 && status !== 1) this.reject(refused(status));
    else if (!this.#asks) this.resolve(none);
    else {
      const { policies, cost, mode } = this.errand;
      const steps = stepsOf(policies, reply, at + 1, cost, mode === 'force');
      const denied = isDenied(policies, steps);
      if (denied === (status === 1)) this.reject(unexpected(reply));
      else {
        if (denied || mode === 'peek') lookInstead(steps, policies, reply, at + 1);
        this.answer(steps, reply);
      }
    }
    return true;
  }
}

function widthOf(policies: readonly Policy[]): number {
  let width = 0;
  for (const { algorithm } of policies) width += algorithm.width;
  return width;
}

function isDenied(policies: readonly Policy[], steps: readonly Step[]): boolean {
  for (let i = 0; i < steps.length; i++) {
    if (!(steps[i] as Step).fits && !(policies[i] as Policy).shadow) return true;
  }
  return false;
}

function stepsOf(
  policies: readonly Policy[],
  reply: readonly unknown[],
  from: number,
  cost: number,
  force: boolean,
): Step[] {
  // An array that grows takes the room of seventeen.
  if (policies.length === 1) {
    const policy = policies[0] as Policy;
    return [policy.algorithm.read(reply, from, policy, cost, force)];
  }
  const steps: Step[] = [];
  let at = from;
  for (let i = 0; i < policies.length; i++) {
    const policy = policies[i] as Policy;
    steps.push(policy.algorithm.read(reply, at, policy, cost, force));
    at += policy.algorithm.width;
  }
  return steps;
}

/** Replaces the steps that would have taken something by those that took nothing. */
function lookInstead(
  steps: Step[],
  policies: readonly Policy[],
  reply: readonly unknown[],
  from: number,
): void {
  let at = from;
  for (let i = 0; i < steps.length; i++) {
    const policy = policies[i] as Policy;
    const { fits, retryAfterMs } = steps[i] as Step;
    if (fits) steps[i] = { ...policy.algorithm.read(reply, at, policy, 0, true), fits, retryAfterMs };
    at += policy.algorithm.width;
  }
}

function refused(status: unknown): Error {
  return new Error(typeof status === 'string' ? status : `The limit script answered ${String(status)}`);
}

function unexpected(reply: readonly unknown[]): Error {
  return new TypeError(`The limit script answered ${JSON.stringify(reply).slice(0, 200)}`);
}
