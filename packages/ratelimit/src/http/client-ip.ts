import { assertKnownOptions, ConfigurationError } from '@cachekit/core';
import { countedIp, type IpAddress, type IpRange, isInRange, parseIp, parseIpRange } from './ip-address.ts';

/** What {@link clientIp} takes. */
export interface ClientIpOptions {
  /**
   * How many proxies of yours a request passes on its way, or the ranges their addresses are in, such as
   * `['10.0.0.0/8']`. Nothing else in the header is believed.
   */
  trustedProxies: number | readonly string[];
  /**
   * The header to which each proxy appends the address it was called from.
   * @defaultValue `'x-forwarded-for'`
   */
  header?: string;
}

/** What is used of a request: of `node:http` and its frameworks, or a fetch-style `Request`. */
export interface ClientRequestLike {
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Absent on fetch-style requests. */
  readonly socket?: { readonly remoteAddress?: string | undefined } | null | undefined;
}

/**
 * Makes a function that tells from which address a request came, in the form to be counted.
 *
 * Addresses of version 4 are given as they are, of version 6 as their network of 64 bits: `2001:db8:1:2::/64`. The
 * header is read from its end, where your own proxies wrote; what stands before is what anybody may have sent.
 * What a proxy of yours passes on though it is no address counts as that proxy's.
 *
 * With ranges, the address of the connection has to be known: on a fetch-style server that does not tell it, give
 * a number or pass it as the second argument.
 *
 * @returns A function of the request and, where the request does not know it, the address of the connection. It gives
 * `'unknown'` if nothing is known.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a number that is no integer from 0, or a range that is none.
 * @example
 * const ipOf = clientIp({ trustedProxies: 1 });
 * ipOf({ headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.7' }, socket: { remoteAddress: '10.0.0.1' } }); // '203.0.113.7'
 */
export function clientIp(options: ClientIpOptions): (request: ClientRequestLike, peer?: string) => string {
  assertKnownOptions('clientIp', options, ['trustedProxies', 'header']);
  const { trustedProxies, header = 'x-forwarded-for' } = options;
  if (typeof header !== 'string' || header === '') {
    throw new ConfigurationError('clientIp: header: give the name of a header');
  }
  const name = header.toLowerCase();
  const pick =
    typeof trustedProxies === 'number' ? byCount(trustedProxies) : byRanges(rangesOf(trustedProxies));
  return (request, peer) => {
    const connected = peer ?? request.socket?.remoteAddress;
    const hops = hopsOf(request.headers, name);
    const address = pick(hops, connected === undefined ? undefined : parseIp(connected));
    return address === undefined ? 'unknown' : countedIp(address);
  };
}

type Pick = (hops: readonly string[], peer: IpAddress | undefined) => IpAddress | undefined;

function byCount(count: number): Pick {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new ConfigurationError(
      `clientIp: trustedProxies: ${count} is none; give an integer from 0 or ranges`,
    );
  }
  return (hops, peer) => {
    // The nearest proxy is the peer; where the peer is not known, it is still the one that wrote the last entry.
    let client = peer;
    for (let proxy = 1; proxy <= count; proxy++) {
      const hop = hops[hops.length - proxy];
      const address = hop === undefined ? undefined : parseIp(hop);
      if (address === undefined) break;
      client = address;
    }
    return client;
  };
}

function byRanges(ranges: readonly IpRange[]): Pick {
  return (hops, peer) => {
    let client = peer;
    for (let i = hops.length - 1; i >= 0; i--) {
      if (client === undefined || !ranges.some((range) => isInRange(client as IpAddress, range))) break;
      const address = parseIp(hops[i] as string);
      if (address === undefined) break;
      client = address;
    }
    return client;
  };
}

function rangesOf(texts: readonly string[]): readonly IpRange[] {
  if (!Array.isArray(texts)) {
    throw new ConfigurationError('clientIp: trustedProxies: give how many, or their ranges');
  }
  return texts.map((text) => {
    const range = parseIpRange(String(text));
    if (range !== undefined) return range;
    throw new ConfigurationError(
      `clientIp: trustedProxies: ${JSON.stringify(text)} is no range; give such as "10.0.0.0/8" or "fd00::/8"`,
    );
  });
}

function hopsOf(headers: ClientRequestLike['headers'], name: string): readonly string[] {
  const value =
    typeof (headers as Headers).get === 'function'
      ? (headers as Headers).get(name)
      : (headers as Readonly<Record<string, string | readonly string[] | undefined>>)[name];
  if (value === null || value === undefined || value.length === 0) return [];
  return (typeof value === 'string' ? value : value.join(',')).split(',');
}
