const crcTable: Uint16Array = (() => {
  const table = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) !== 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = crc;
  }
  return table;
})();

/**
 * The slot of a key on Redis Cluster: CRC16 (XMODEM) of what stands in its first braces, else of the whole, modulo 16,384.
 *
 * Keys of this package are ASCII, so a character is a byte.
 *
 * @see Redis Cluster specification, "Key distribution model" and "Hash tags"
 */
export function hashSlot(key: string): number {
  let start = 0;
  let end = key.length;
  const open = key.indexOf('{');
  if (open >= 0) {
    const close = key.indexOf('}', open + 1);
    if (close > open + 1) {
      start = open + 1;
      end = close;
    }
  }
  let crc = 0;
  for (let i = start; i < end; i++) {
    crc = ((crc << 8) & 0xffff) ^ (crcTable[(crc >> 8) ^ (key.charCodeAt(i) & 0xff)] as number);
  }
  return crc & 16_383;
}
