import { type Cargo, Lane, type Passenger, type Road } from './lane.ts';

/** Lanes of one kind of cargo, by slot and by what may travel together. */
export class Lanes<Kind extends Passenger> {
  readonly #road: Road;
  readonly #cargo: Cargo<Kind>;
  readonly #lanes = new Map<string, Lane<Kind>>();

  constructor(road: Road, cargo: Cargo<Kind>) {
    this.#road = road;
    this.#cargo = cargo;
  }

  /** @param kind - Equal for checks that may travel together. */
  of(slot: number, kind: string): Lane<Kind> {
    const { cluster } = this.#road.redis.capabilities;
    const name = cluster ? `${slot}:${kind}` : kind;
    return this.#lanes.get(name) ?? this.#open(slot, name);
  }

  #open(slot: number, name: string): Lane<Kind> {
    const { cluster } = this.#road.redis.capabilities;
    // On a cluster there may be as many as slots.
    const idle = (): void => void (cluster && this.#lanes.delete(name));
    const lane = new Lane(slot, this.#road, this.#cargo, idle);
    this.#lanes.set(name, lane);
    return lane;
  }
}
