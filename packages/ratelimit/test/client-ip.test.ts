import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countedIp, isInRange, parseIp, parseIpRange } from '../src/http/ip-address.ts';
import { clientIp } from '../src/index.ts';

const request = (forwarded: string | undefined, remoteAddress?: string) => ({
  headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  socket: { remoteAddress },
});

describe('clientIp()', () => {
  test.each([
    ['no proxy is trusted, so the header is not believed', 0, '6.6.6.6', '203.0.113.7', '203.0.113.7'],
    ['one proxy: the last entry is what it saw', 1, '6.6.6.6, 203.0.113.7', '10.0.0.1', '203.0.113.7'],
    ['two proxies', 2, '6.6.6.6, 203.0.113.7, 10.0.0.2', '10.0.0.1', '203.0.113.7'],
    ['fewer entries than proxies: the first', 3, '203.0.113.7, 10.0.0.2', '10.0.0.1', '203.0.113.7'],
    ['no header: the connection', 1, undefined, '203.0.113.7', '203.0.113.7'],
    ['rubbish passed on counts as the proxy', 1, '6.6.6.6, unknown', '10.0.0.1', '10.0.0.1'],
    ['a port is no part of it', 1, '203.0.113.7:4711', '10.0.0.1', '203.0.113.7'],
    ['version 6 by its network', 1, '2001:db8:1:2:3:4:5:6', '10.0.0.1', '2001:db8:1:2::/64'],
    ['version 6 in brackets', 1, '[2001:db8::1]:443', '::1', '2001:db8:0:0::/64'],
    ['version 4 in version 6', 0, undefined, '::ffff:203.0.113.7', '203.0.113.7'],
  ])('%s', (_what, trustedProxies, forwarded, peer, expected) => {
    expect(clientIp({ trustedProxies })(request(forwarded, peer))).toBe(expected);
  });

  test.each([
    ['the last entry that is no proxy of ours', '6.6.6.6, 203.0.113.7, 10.1.2.3', '10.0.0.1', '203.0.113.7'],
    ['a connection past the proxies is not believed', '1.1.1.1', '203.0.113.7', '203.0.113.7'],
    ['only proxies: the first of them', '10.9.9.9, 10.1.2.3', '10.0.0.1', '10.9.9.9'],
    ['rubbish counts as the proxy that passed it on', '<script>, 10.1.2.3', '10.0.0.1', '10.1.2.3'],
    ['proxies of version 6', '2001:db8::1, fd00::7', 'fd00::1', '2001:db8:0:0::/64'],
    ['nothing known', undefined, undefined, 'unknown'],
  ])('by ranges: %s', (_what, forwarded, peer, expected) => {
    const ipOf = clientIp({ trustedProxies: ['10.0.0.0/8', 'fd00::/8'] });
    expect(ipOf(request(forwarded, peer))).toBe(expected);
  });

  test('a forged header never chooses the address, whatever it says', () => {
    const byCount = clientIp({ trustedProxies: 1 });
    const byRange = clientIp({ trustedProxies: ['10.0.0.0/8'] });
    const noise = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string(),
      fc.constantFrom('10.0.0.1', '127.0.0.1', ',,', '::'),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 6 }), (forged) => {
        const forwarded = [...forged, '203.0.113.7'].join(', ');
        expect(byCount(request(forwarded, '10.0.0.1'))).toBe('203.0.113.7');
        expect(byRange(request(forwarded, '10.0.0.1'))).toBe('203.0.113.7');
      }),
      { numRuns: 2_000 },
    );
  });

  test('a fetch-style request, with the connection given beside it or counted without', () => {
    const incoming = new Request('http://localhost', {
      headers: { 'X-Forwarded-For': '6.6.6.6, 203.0.113.7' },
    });
    expect(clientIp({ trustedProxies: 1 })(incoming)).toBe('203.0.113.7');
    expect(clientIp({ trustedProxies: ['10.0.0.0/8'] })(incoming, '10.0.0.1')).toBe('203.0.113.7');
    expect(clientIp({ trustedProxies: ['10.0.0.0/8'] })(incoming)).toBe('unknown');
  });

  test('another header, as one list or several', () => {
    const ipOf = clientIp({ trustedProxies: 1, header: 'CF-Connecting-IP' });
    expect(ipOf({ headers: { 'cf-connecting-ip': '203.0.113.7' } })).toBe('203.0.113.7');
    const list = { headers: { 'x-forwarded-for': ['6.6.6.6', '203.0.113.7'] } };
    expect(clientIp({ trustedProxies: 1 })(list)).toBe('203.0.113.7');
  });

  test.each([
    [{ trustedProxies: -1 }],
    [{ trustedProxies: 1.5 }],
    [{ trustedProxies: ['nowhere'] }],
    [{ trustedProxies: ['10.0.0.0/33'] }],
    [{ trustedProxies: true }],
    [{}],
    [{ trustedProxies: 1, header: '' }],
    [{ trustedProxies: 1, headers: 'x' }],
  ])('refuses %j', (options) => {
    expect(() => clientIp(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});

describe('addresses', () => {
  test('reads what URL reads, and nothing else', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const host = new URL(`http://[${text}]`).hostname;
        expect(parseIp(text)).toEqual(parseIp(host));
        expect(parseIp(text)).toHaveLength(8);
      }),
      { numRuns: 1_000 },
    );
    for (const wrong of [
      '',
      ':',
      ':::',
      '1.2.3',
      '1.2.3.256',
      '1.2.3.4.5',
      'g::1',
      '1::2::3',
      '1:2:3:4:5:6:7:8:9',
      '12345::',
    ]) {
      expect(parseIp(wrong), wrong).toBeUndefined();
    }
  });

  test('addresses of one /64 are one customer, of two are two', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (text, host) => {
        const address = parseIp(text) as number[];
        const other = [
          ...address.slice(0, 4),
          ...[48n, 32n, 16n, 0n].map((by) => Number((host >> by) & 0xffffn)),
        ];
        const mapped = address.slice(0, 5).every((group) => group === 0);
        if (!mapped) expect(countedIp(other)).toBe(countedIp(address));
        const range = parseIpRange(`${text}/64`);
        expect(range !== undefined && isInRange(other, range)).toBe(true);
      }),
    );
  });
});
