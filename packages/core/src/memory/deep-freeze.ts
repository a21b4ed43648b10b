/**
 * Freezes arrays and plain objects, all the way down, and gives the value back.
 *
 * Instances of classes stay as they are: they may hold what must change, such as a connection.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) freezeAll(value);
  return value;
}

function freezeAll(value: object): void {
  if (Array.isArray(value)) {
    // Frozen before its members, so that a circle ends.
    Object.freeze(value);
    for (let index = 0; index < value.length; index++) deepFreeze(value[index]);
    return;
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return;
  Object.freeze(value);
  // Makes no list of its members; what a plain object inherits is not one of them.
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name];
    if (typeof member === 'object' && Object.hasOwn(value, name)) deepFreeze(member);
  }
}
