/**
 * Freezes arrays and plain objects, all the way down, and gives the value back.
 *
 * Instances of classes stay as they are: they may hold what must change, such as a connection.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (!Array.isArray(value)) {
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return value;
  }
  // Frozen before its members, so that a circle ends.
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
  return value;
}
