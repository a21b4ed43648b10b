/** Who changed what is being read: `touched` by another process, or `overtaken` by this one, which must not see it again. */
export type Change = 'touched' | 'overtaken';

/** A read of the remote tier under way that nobody joins, and what was changed since it was sent. */
export class Reading {
  /** The epoch of trust when it was sent. */
  readonly epoch: number;
  /** How many changes of tags had been heard when it was sent. */
  readonly asOf: number;
  #changes: Map<string, Change> | undefined;
  #prefixes: string[] | undefined;
  #all = false;

  constructor(epoch: number, asOf: number) {
    this.epoch = epoch;
    this.asOf = asOf;
  }

  /** What happened to a key or to one of its tags. */
  changeOf(wire: string, tags: readonly string[], besides: string): Change | undefined {
    const all = this.#all ? 'touched' : undefined;
    if (this.#prefixes?.some((prefix) => wire.startsWith(prefix))) return 'overtaken';
    if (this.#changes === undefined) return all;
    const changes = new Set([wire, ...tags, besides].map((one) => this.#changes?.get(one)));
    if (changes.has('overtaken')) return 'overtaken';
    return changes.has('touched') ? 'touched' : all;
  }

  changed(wire: string, by: Change): void {
    this.#changes ??= new Map();
    if (this.#changes.get(wire) !== 'overtaken') this.#changes.set(wire, by);
  }

  overtakenPrefix(prefix: string): void {
    this.#prefixes ??= [];
    this.#prefixes.push(prefix);
  }

  touchedAll(): void {
    this.#all = true;
  }
}

/** The reads under way of one cache that nobody joins. */
export class Readings {
  readonly #open = new Set<Reading>();

  begin(epoch: number, asOf: number): Reading {
    const reading = new Reading(epoch, asOf);
    this.#open.add(reading);
    return reading;
  }

  /** What happens from now on is no concern of the read. */
  end(reading: Reading): void {
    this.#open.delete(reading);
  }

  /** Somebody changed a key or a tag. */
  changed(wire: string, by: Change): void {
    for (const reading of this.#open) reading.changed(wire, by);
  }

  /** This process changed every key that begins so. */
  overtakenPrefix(prefix: string): void {
    for (const reading of this.#open) reading.overtakenPrefix(prefix);
  }

  /** What was changed is not known. */
  touchedAll(): void {
    for (const reading of this.#open) reading.touchedAll();
  }
}
