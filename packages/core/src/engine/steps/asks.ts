/** Somebody with a request, who is told one of the two, once. */
export interface Asker<Request, Answer> {
  readonly asks: Request;
  /** The request is sent now. */
  sent?(): void;
  /** @param sentAt - When the request was sent. */
  answered(answer: Answer, sentAt: number): void;
  unanswered(error: unknown): void;
}

/** How an {@link Asks} reaches whom it asks. */
export interface Asked<Request, Answer> {
  now(): number;
  one(request: Request): Promise<Answer>;
  /** In the order asked; an error where one alone failed. Absent: one by one. */
  readonly many?: (requests: readonly Request[]) => Promise<readonly (Answer | Error)[]>;
  /** What the failure of one among many is. */
  failure(error: Error): Error;
}

/** Requests of one call. */
const mostAsks = 64;

/**
 * Sends the requests of one tick together. Waits as long as every microtask brings something new, because those who ask are
 * a few promises apart.
 */
export class Asks<Request, Answer> {
  readonly #asked: Asked<Request, Answer>;
  #waiting: Asker<Request, Answer>[] = [];
  /** How many there were when the flush was put off last. */
  #seen = 0;
  /** One that asked last: an engine drops the code it made for objects of which it finds none. */
  readonly #kept: { asker?: Asker<Request, Answer> | undefined } = {};

  constructor(asked: Asked<Request, Answer>) {
    this.#asked = asked;
  }

  add(asker: Asker<Request, Answer>): void {
    const waiting = this.#waiting.push(asker);
    if (waiting === 1) {
      this.#seen = 0;
      queueMicrotask(this.#flush);
    } else if (waiting === mostAsks) this.#send();
  }

  readonly #flush = (): void => {
    const { length } = this.#waiting;
    if (length === 0) return;
    if (length > this.#seen) {
      this.#seen = length;
      queueMicrotask(this.#flush);
    } else this.#send();
  };

  #send(): void {
    const askers = this.#waiting;
    this.#waiting = [];
    const sentAt = this.#asked.now();
    this.#kept.asker = askers[0];
    for (const asker of askers) asker.sent?.();
    if (this.#asked.many === undefined) {
      for (const asker of askers) {
        this.#asked.one(asker.asks).then(
          (answer) => asker.answered(answer, sentAt),
          (error) => asker.unanswered(error),
        );
      }
      return;
    }
    this.#asked.many(askers.map(({ asks }) => asks)).then(
      (answers) => {
        for (let index = 0; index < askers.length; index++) {
          const asker = askers[index] as Asker<Request, Answer>;
          const answer = answers[index] as Answer | Error;
          if (answer instanceof Error) asker.unanswered(this.#asked.failure(answer));
          else asker.answered(answer, sentAt);
        }
      },
      (error) => {
        for (const asker of askers) asker.unanswered(error);
      },
    );
  }
}
