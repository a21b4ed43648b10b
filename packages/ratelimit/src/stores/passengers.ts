import type { RedisArgument } from '@cachekit/core';
import type { Step } from '../algorithms/algorithm.ts';
import type { Policy } from '../policy.ts';
import type { Passenger } from './lane.ts';
import type { LimitRequest, StoreAnswer } from './store.ts';

/** Where the answer of a check goes. */
interface Destination {
  resolve(answer: StoreAnswer): void;
  reject(error: unknown): void;
  /** Sends the check again: the edges of its windows were not those of the server's time. */
  again(): void;
}

const outOfEdges = 3;
const none: StoreAnswer = { steps: [], atomic: true };

/** A check of one policy, the most frequent: what `takeScript()` reads and replies. */
export class SingleTake implements Passenger {
  readonly keys: readonly string[];
  readonly policy: Policy;
  readonly #cost: number;
  readonly #destination: Destination;

  constructor(request: LimitRequest, destination: Destination) {
    this.keys = request.keys;
    this.policy = request.policies[0] as Policy;
    this.#cost = request.cost;
    this.#destination = destination;
  }

  pushArgs(args: RedisArgument[], serverNow: number): void {
    args.push(this.#cost);
    this.policy.algorithm.pushArgs(args, this.policy, serverNow);
  }

  arrived(reply: readonly unknown[], at: number): number {
    const { algorithm } = this.policy;
    const status = reply[at];
    if (status === 1 || status === 0) {
      const step = algorithm.read(reply, at + 1, this.policy, this.#cost, false);
      if (step.fits === (status === 1)) this.#destination.resolve({ steps: [step], atomic: true });
      else this.#destination.reject(unexpected(reply));
    } else if (status === outOfEdges) this.#destination.again();
    else this.#destination.reject(refused(status));
    return 1 + algorithm.width;
  }

  failed(error: unknown): void {
    this.#destination.reject(error);
  }
}

/** Any other check: what `limitScript()` reads and replies. */
export class AnyRequest implements Passenger {
  readonly keys: readonly string[];
  readonly policies: readonly Policy[];
  readonly #mode: LimitRequest['mode'] | 'block';
  /** In a block, how long. */
  readonly #cost: number;
  /** In a block, why. */
  readonly #at: readonly (string | number | undefined)[] | undefined;
  readonly #destination: Destination;

  constructor(
    request: Pick<LimitRequest, 'keys' | 'policies' | 'cost'> & {
      readonly mode: LimitRequest['mode'] | 'block';
      readonly at?: readonly (string | number | undefined)[] | undefined;
    },
    destination: Destination,
  ) {
    this.keys = request.keys;
    this.policies = request.policies;
    this.#mode = request.mode;
    this.#cost = request.cost;
    this.#at = request.at;
    this.#destination = destination;
  }

  pushArgs(args: RedisArgument[], serverNow: number): void {
    args.push(this.#mode, this.#cost, this.keys.length);
    for (let i = 0; i < this.policies.length; i++) {
      const policy = this.policies[i] as Policy;
      args.push(policy.algorithm.version, policy.shadow ? 1 : 0, this.#at?.[i] ?? '');
      policy.algorithm.pushArgs(args, policy, serverNow);
    }
  }

  arrived(reply: readonly unknown[], at: number): number {
    const status = reply[at];
    const asks = this.#mode !== 'give' && this.#mode !== 'block';
    let length = 1;
    if (asks) for (const { algorithm } of this.policies) length += algorithm.width;
    if (status === outOfEdges) this.#destination.again();
    else if (status !== 0 && status !== 1) this.#destination.reject(refused(status));
    else if (!asks) this.#destination.resolve(none);
    else this.#answer(reply, at);
    return length;
  }

  failed(error: unknown): void {
    this.#destination.reject(error);
  }

  #answer(reply: readonly unknown[], at: number): void {
    const force = this.#mode === 'force';
    const steps: Step[] = [];
    let denied = false;
    let from = at + 1;
    for (const policy of this.policies) {
      const { algorithm } = policy;
      const step = algorithm.read(reply, from, policy, this.#cost, force);
      if (!step.fits && !policy.shadow) denied = true;
      steps.push(step);
      from += algorithm.width;
    }
    if (denied === (reply[at] === 1)) {
      this.#destination.reject(unexpected(reply));
      return;
    }
    if (denied || this.#mode === 'peek') this.#lookInstead(steps, reply, at + 1);
    this.#destination.resolve({ steps, atomic: true });
  }

  /** Replaces the steps that would have taken something by those that took nothing. */
  #lookInstead(steps: Step[], reply: readonly unknown[], from: number): void {
    for (let i = 0; i < steps.length; i++) {
      const policy = this.policies[i] as Policy;
      const { fits, retryAfterMs } = steps[i] as Step;
      if (fits) {
        steps[i] = { ...policy.algorithm.read(reply, from, policy, 0, true), fits, retryAfterMs };
      }
      from += policy.algorithm.width;
    }
  }
}

function refused(status: unknown): Error {
  return new Error(typeof status === 'string' ? status : `The limit script answered ${String(status)}`);
}

function unexpected(reply: readonly unknown[]): Error {
  return new TypeError(`The limit script answered ${JSON.stringify(reply).slice(0, 200)}`);
}
