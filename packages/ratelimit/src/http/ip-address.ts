/** An address as eight groups of 16 bits; one of version 4 as the last two of `::ffff:0:0`. */
export type IpAddress = readonly number[];

/** A range of addresses. */
export interface IpRange {
  readonly address: IpAddress;
  /** Of 128 bits. */
  readonly bits: number;
}

const mappedV4: readonly number[] = [0, 0, 0, 0, 0, 0xffff];

/** Reads `192.0.2.1`, `2001:db8::1`, `::ffff:192.0.2.1`, `[2001:db8::1]:443` or `192.0.2.1:443`; `undefined` for all else. */
export function parseIp(text: string): IpAddress | undefined {
  let bare = text.trim();
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(bare);
  if (bracketed) bare = bracketed[1] as string;
  else if (/^\d+\.\d+\.\d+\.\d+:\d{1,5}$/.test(bare)) bare = bare.slice(0, bare.indexOf(':'));
  const zone = bare.indexOf('%');
  if (zone >= 0) bare = bare.slice(0, zone);
  return bare.includes(':') ? parseV6(bare) : parseV4(bare);
}

function parseV4(text: string): IpAddress | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const [a, b, c, d] = match.slice(1).map(Number) as [number, number, number, number];
  if (a > 255 || b > 255 || c > 255 || d > 255) return undefined;
  return [...mappedV4, a * 256 + b, c * 256 + d];
}

function parseV6(text: string): IpAddress | undefined {
  let head = text;
  const tail: number[] = [];
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const v4 = parseV4(dotted[2] as string);
    if (v4 === undefined) return undefined;
    tail.push(v4[6] as number, v4[7] as number);
    head = dotted[1] as string;
    head = head.endsWith('::') ? head : head.slice(0, -1);
  }
  const sides = head.split('::');
  if (sides.length > 2) return undefined;
  const groupsOf = (side: string): number[] =>
    side === ''
      ? []
      : side
          .split(':')
          .map((group) => (/^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : Number.NaN));
  const left = groupsOf(sides[0] as string);
  const right = [...(sides.length === 2 ? groupsOf(sides[1] as string) : []), ...tail];
  if ([...left, ...right].some(Number.isNaN)) return undefined;
  const missing = 8 - left.length - right.length;
  if (sides.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...left, ...Array<number>(missing).fill(0), ...right];
}

/** Reads `10.0.0.0/8`, `fd00::/8` or one address; `undefined` for all else. */
export function parseIpRange(text: string): IpRange | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  if (slash < 0) return { address, bits: 128 };
  const length = /^\d{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : Number.NaN;
  const bits = isV4(address) && !text.includes(':') ? 96 + length : length;
  return bits >= 0 && bits <= 128 ? { address, bits } : undefined;
}

export function isInRange(address: IpAddress, range: IpRange): boolean {
  for (let group = 0, left = range.bits; left > 0; group++, left -= 16) {
    const mask = left >= 16 ? 0xffff : (0xffff << (16 - left)) & 0xffff;
    if (((address[group] as number) & mask) !== ((range.address[group] as number) & mask)) return false;
  }
  return true;
}

/**
 * Whom to count: an address of version 4 as it is, of version 6 its network of 64 bits, because one customer has at
 * least so many addresses.
 */
export function countedIp(address: IpAddress): string {
  if (isV4(address)) {
    const [high, low] = address.slice(6) as [number, number];
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  return `${address
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

function isV4(address: IpAddress): boolean {
  return mappedV4.every((group, i) => address[i] === group);
}
