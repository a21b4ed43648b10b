import { type Link, LinkUnavailable, links } from './link.ts';
import { type Attempt, MissingServiceError } from './missing-service.ts';

/** A service and its links: each gives a started server or throws {@link LinkUnavailable}. */
export interface Chain<Server> {
  readonly service: string;
  readonly links: Partial<Record<Link, () => Promise<Server>>>;
  /** What a person can do when no link works, one line each. */
  readonly advice: readonly string[];
}

/**
 * The links that `CACHEKIT_SERVICES` leaves: all when it is unset, else the named ones (comma separated).
 *
 * @throws Error when it names a link that does not exist.
 */
export function allowedLinks(setting: string | undefined = process.env.CACHEKIT_SERVICES): readonly Link[] {
  const names = (setting ?? '').split(',').map((name) => name.trim());
  const wanted = names.filter((name) => name !== '');
  if (wanted.length === 0) return links;
  const unknown = wanted.find((name) => !(links as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new Error(`CACHEKIT_SERVICES: unknown link "${unknown}"; it takes ${links.join(', ')}`);
  }
  return links.filter((link) => wanted.includes(link));
}

/**
 * Goes along the chain to the first link that gives a server.
 *
 * @throws MissingServiceError when no link does.
 */
export async function firstOf<Server>(chain: Chain<Server>): Promise<Server> {
  const allowed = allowedLinks();
  const tried: Attempt[] = [];
  for (const link of links) {
    const start = chain.links[link];
    if (start === undefined) continue;
    if (!allowed.includes(link)) {
      tried.push({ link, reason: `left out by CACHEKIT_SERVICES=${process.env.CACHEKIT_SERVICES}` });
      continue;
    }
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof LinkUnavailable)) throw error;
      tried.push({ link, reason: error.message });
    }
  }
  throw new MissingServiceError(chain.service, tried, chain.advice);
}
