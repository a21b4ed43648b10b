import type { Area } from './runner/area.ts';

/** Each area under the name that is given on the command line; loaded when it is asked for. */
export const areas: Readonly<Record<string, () => Promise<Area>>> = {
  cache: async () => (await import('./areas/cache.ts')).cache,
  locks: async () => (await import('./areas/locks.ts')).locks,
  pg: async () => (await import('./areas/pg.ts')).postgres,
  ratelimit: async () => (await import('./areas/ratelimit.ts')).ratelimit,
  realtime: async () => (await import('./areas/realtime.ts')).realtime,
};

/**
 * The area of that name.
 *
 * @throws RangeError that lists the areas, if there is none of that name.
 */
export function areaNamed(name: string | undefined): () => Promise<Area> {
  const area = name !== undefined && Object.hasOwn(areas, name) ? areas[name] : undefined;
  if (area !== undefined) return area;
  const given = name === undefined ? 'No area given' : `No area "${name}"`;
  throw new RangeError(`${given}; there are: ${Object.keys(areas).join(', ')}`);
}
