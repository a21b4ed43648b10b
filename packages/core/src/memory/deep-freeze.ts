/** Those that were frozen before and are gone through all the same, so that a circle ends. */
const seen = new Set<object>();

/**
 * Freezes arrays and plain objects, all the way down, also below one that somebody else froze, and gives the value back.
 *
 * Instances of classes stay as they are: they may hold what must change, such as a connection.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  try {
    freezeAll(value);
  } finally {
    if (seen.size > 0) seen.clear();
  }
  return value;
}

function freezeAll(value: object): void {
  if (Object.isFrozen(value)) {
    if (seen.has(value)) return;
    seen.add(value);
  }
  if (Array.isArray(value)) {
    // Frozen before its members, so that a circle ends.
    Object.freeze(value);
    for (let index = 0; index < value.length; index++) freezeMember(value[index]);
    return;
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return;
  Object.freeze(value);
  // Makes no list of its members; what a plain object inherits is not one of them.
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name];
    if (typeof member === 'object' && Object.hasOwn(value, name)) freezeMember(member);
  }
}

function freezeMember(member: unknown): void {
  if (typeof member === 'object' && member !== null) freezeAll(member);
}
