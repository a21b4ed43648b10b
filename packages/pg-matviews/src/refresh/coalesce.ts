/** What the requests that a run is to serve ask for, as long as more may join. */
export interface OpenDemand<Demand> {
  readonly sofar: Demand;
  /** Nobody joins any more; called once, right before the work that serves the requests. */
  take(): Demand;
}

/**
 * Runs something so that every request is served by work that begins after it, with as little work as possible.
 *
 * A run says when its work begins by taking the demand. Requests made before that join it; however many come after,
 * exactly one more run follows, and all of them get its result.
 */
export class Coalesced<Demand, Result> {
  readonly #run: (open: OpenDemand<Demand>) => Promise<Result>;
  readonly #merge: (a: Demand, b: Demand) => Demand;
  #current: Promise<Result> | undefined;
  /** The run that has not taken its demand yet: the present one, or the next. */
  #open: { demand: Demand; readonly result: Promise<Result> } | undefined;

  /**
   * @param run - Takes its demand before it begins the work that serves the requests.
   * @param merge - The demand that covers two.
   */
  constructor(run: (open: OpenDemand<Demand>) => Promise<Result>, merge: (a: Demand, b: Demand) => Demand) {
    this.#run = run;
    this.#merge = merge;
  }

  request(demand: Demand): Promise<Result> {
    if (this.#open !== undefined) {
      this.#open.demand = this.#merge(this.#open.demand, demand);
      return this.#open.result;
    }
    const before = this.#current ?? Promise.resolve();
    const begin = (): Promise<Result> =>
      this.#run({
        get sofar() {
          return open.demand;
        },
        take: () => {
          if (this.#open === open) this.#open = undefined;
          return open.demand;
        },
      });
    const result = before.then(begin, begin).finally(() => {
      if (this.#open === open) this.#open = undefined;
      if (this.#current === result) this.#current = undefined;
    });
    const open = { demand, result };
    this.#open = open;
    this.#current = result;
    return result;
  }
}
