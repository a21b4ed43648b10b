/** A key of TanStack Query. */
export type QueryKeyLike = readonly unknown[];

/** Whether `key` begins with `prefix`; objects in it match when they have at least the members asked for. */
export function startsWithKey(key: unknown, prefix: unknown): boolean {
  if (Object.is(key, prefix)) return true;
  if (typeof key !== 'object' || typeof prefix !== 'object' || key === null || prefix === null) return false;
  if (Array.isArray(key) !== Array.isArray(prefix)) return false;
  return Object.keys(prefix).every((name) =>
    startsWithKey((key as Members)[name], (prefix as Members)[name]),
  );
}

type Members = Readonly<Record<string, unknown>>;
