/** The reason of a block as it was given; as it stands if it is not encoded, because somebody else wrote the key. */
export function blockReason(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
