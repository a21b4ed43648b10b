/** Work that nobody waits for. On a serverless platform this is its `waitUntil`. */
export interface Background {
  /** Begins now; what it rejects with is told as trouble of that part. */
  run(part: string, work: () => Promise<void>): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

export function createBackground(onTrouble: (part: string, error: unknown) => void): Background {
  const underWay = new Set<Promise<void>>();
  return {
    run(part, work) {
      const done = work()
        .catch((error: unknown) => onTrouble(part, error))
        .finally(() => underWay.delete(done));
      underWay.add(done);
    },
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
