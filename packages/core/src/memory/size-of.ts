/** What an entry takes besides its value: the entry itself, its promise, its places in the map and the queue. */
const entryBytes = 400;
/** What an object or array takes by itself, and each of its places. */
const objectBytes = 32;
const placeBytes = 8;

/**
 * About how many bytes an entry takes in memory, from its key and value.
 *
 * Every part of the value is gone through once, so this costs about what writing it as JSON does.
 */
export function sizeOf(wire: string, value: unknown): number {
  return entryBytes + wire.length + valueBytes(value, new Set());
}

/** As {@link sizeOf}, from the text of the value: that its objects take more than their text is part of the guess. */
export function sizeOfText(wire: string, text: string): number {
  return entryBytes + wire.length + text.length * 2;
}

function valueBytes(value: unknown, seen: Set<object>): number {
  if (typeof value === 'string') return objectBytes + value.length;
  if (typeof value !== 'object' || value === null) return placeBytes;
  if (seen.has(value)) return placeBytes;
  seen.add(value);
  if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength;
  if (value instanceof ArrayBuffer) return objectBytes + value.byteLength;
  let bytes = objectBytes;
  if (value instanceof Map) {
    for (const [name, member] of value)
      bytes += placeBytes + valueBytes(name, seen) + valueBytes(member, seen);
    return bytes;
  }
  if (value instanceof Set) {
    for (const member of value) bytes += placeBytes + valueBytes(member, seen);
    return bytes;
  }
  for (const member of Object.values(value)) bytes += placeBytes + valueBytes(member, seen);
  return bytes;
}
