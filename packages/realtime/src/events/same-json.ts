/** Whether two values say the same as JSON: objects in any order of keys, `undefined` as `null`. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (Object.is(left, right) || (left === 0 && right === 0)) return true;
  if (left === null || right === null || typeof left !== 'object' || typeof right !== 'object') {
    return (left ?? null) === null && (right ?? null) === null;
  }
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(right, key)) return false;
    if (!sameJson((left as Values)[key], (right as Values)[key])) return false;
  }
  return true;
}

type Values = Readonly<Record<string, unknown>>;
