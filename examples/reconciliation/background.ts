import { setTimeout as pause } from 'node:timers/promises';

/** Work that nobody waits for. On a serverless platform this is its `waitUntil`. */
export interface Background {
  /** Begins now, and again if it fails; what it fails with in the end is told as trouble of that part. */
  run(part: string, work: () => Promise<void>): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

/** The pauses between the attempts, in milliseconds: long enough for a server that was restarted. */
const pauses = [50, 200, 1_000];

export function createBackground(onTrouble: (part: string, error: unknown) => void): Background {
  const underWay = new Set<Promise<void>>();
  return {
    run(part, work) {
      const done = attempt(work)
        .catch((error: unknown) => onTrouble(part, error))
        .finally(() => underWay.delete(done));
      underWay.add(done);
    },
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

async function attempt(work: () => Promise<void>): Promise<void> {
  for (const ms of pauses) {
    try {
      return await work();
    } catch {
      await pause(ms);
    }
  }
  await work();
}
