/** One link of the way of a change: what was seen, and how long it took. */
export interface Link {
  name: string;
  seen: string;
  tookMs: number;
}

/** A link of the way that did not do what it promises. */
class BrokenLinkError extends Error {
  readonly link: string;
  constructor(link: string, message: string, options?: { cause?: unknown }) {
    super(`${link}: ${message}`, options);
    this.name = 'BrokenLinkError';
    this.link = link;
  }
}

/** What a link has to tell, and what the next ones need of it. */
interface Seen<T> {
  seen: string;
  value: T;
}

/** Does one link, and notes it. @throws BrokenLinkError if it fails or takes longer than it may. */
export type DoLink = <T>(name: string, act: () => Promise<Seen<T>>) => Promise<T>;

/** A chain of links, each of which may take `deadlineMs`. */
export function createChain(deadlineMs: number): { links: readonly Link[]; link: DoLink } {
  const links: Link[] = [];
  return {
    links,
    async link(name, act) {
      const startedAt = performance.now();
      const acted = act().catch((cause: unknown) => {
        throw new BrokenLinkError(name, cause instanceof Error ? cause.message : String(cause), { cause });
      });
      const { seen, value } = await within(acted, name, deadlineMs);
      links.push({ name, seen, tookMs: performance.now() - startedAt });
      return value;
    },
  };
}

async function within<T>(promise: Promise<T>, name: string, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new BrokenLinkError(name, `nothing within ${deadlineMs / 1_000} s`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
