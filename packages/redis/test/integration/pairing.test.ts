import type { RedisExecutor } from '@cachekit/core';
import { uniqueNamespace } from '@cachekit/services/vitest';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createPairing, ioredisExecutor, type Pairing, type PairingOptions } from '../../src/index.ts';
import { pairingKey } from '../../src/pairing/pairing-code.ts';
import { ioredis } from './clients.ts';
import { eventually } from './eventually.ts';
import { onEveryServer, withoutSubscriptions } from './on-every-server.ts';

interface Device {
  readonly device: string;
}
interface Answer {
  readonly user: string;
}

const desk: Device = { device: 'desk-1' };

onEveryServer('createPairing()', (open, server, wakeUp) => {
  let redis: RedisExecutor;
  let namespace: string;
  let opened: Pairing<Device, Answer>[];
  let pairing: Pairing<Device, Answer>;

  const make = (options: Partial<PairingOptions> = {}): Pairing<Device, Answer> => {
    const made = createPairing<Device, Answer>({ redis, namespace, wakeUp, ttl: '600s', ...options });
    opened.push(made);
    return made;
  };

  beforeEach(() => {
    redis = open();
    namespace = uniqueNamespace();
    opened = [];
    pairing = make();
  });
  afterEach(() => Promise.all(opened.map((each) => each.close())));

  it('a pairing is stored for 600 s, read and deleted (PBX-10)', async () => {
    const began = Date.now();
    const { code, secret, expiresAt } = await pairing.create(desk);
    expect(code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{8}$/);
    expect(Math.abs(expiresAt.getTime() - began - 600_000)).toBeLessThan(20_000);
    const left = (await redis.command('PTTL', pairingKey(namespace, code))) as number;
    expect(left).toBeGreaterThan(580_000);
    expect(left).toBeLessThanOrEqual(600_000);
    expect(await pairing.status(secret)).toMatchObject({ state: 'pending', data: desk });
    expect(await pairing.cancel(secret)).toBe(true);
    expect(await pairing.cancel(secret)).toBe(false);
    expect(await pairing.status(secret)).toEqual({ state: 'expired' });
    expect(await pairing.claim(code, { by: 'user-7' })).toEqual({ outcome: 'unknown' });
  });

  it('of 200 that claim it at the same time exactly one gets it (PBX-10)', async () => {
    const { code, secret } = await pairing.create(desk);
    const others = createPairing<Device, Answer>({ redis: open(), namespace, wakeUp });
    const claims = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        (index % 2 === 0 ? pairing : others).claim(code, { by: `user-${index}` }),
      ),
    );
    const winners = claims.flatMap((claim, index) => (claim.outcome === 'claimed' ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(claims.filter(({ outcome }) => outcome === 'taken')).toHaveLength(199);
    expect(claims[winners[0] as number]).toMatchObject({ first: true, data: desk });
    expect(await pairing.status(secret)).toMatchObject({ state: 'claimed', by: `user-${winners[0]}` });
    await others.close();
  });

  it('whoever claimed it may repeat that, and is told so', async () => {
    const { code } = await pairing.create(desk);
    expect(await pairing.claim(code, { by: 'user-7' })).toMatchObject({ outcome: 'claimed', first: true });
    expect(await pairing.claim(code, { by: 'user-7' })).toMatchObject({ outcome: 'claimed', first: false });
    expect(await pairing.claim(code, { by: 'user-8' })).toEqual({ outcome: 'taken' });
  });

  it('a code may be typed in small letters, with spaces and a dash', async () => {
    const { code } = await pairing.create(desk);
    const typed = ` ${code.slice(0, 4).toLowerCase()}-${code.slice(4)} `;
    expect(await pairing.claim(typed, { by: 'user-7' })).toMatchObject({ outcome: 'claimed' });
  });

  it('a code that is in use is not given out again', async () => {
    // The same code twice, then another. Secrets are drawn with 32 bytes.
    const draws = [0, 0, 1];
    const random = (count: number): Uint8Array =>
      new Uint8Array(count).fill(count === 32 ? 0 : (draws.shift() as number));
    const first = await make({ random }).create(desk);
    const second = await make({ random }).create(desk);
    expect(draws).toEqual([]);
    expect(second.code).not.toBe(first.code);
    expect(await pairing.claim(first.code, { by: 'a' })).toMatchObject({ outcome: 'claimed' });
    expect(await pairing.claim(second.code, { by: 'b' })).toMatchObject({ outcome: 'claimed' });
  });

  it('wrong codes are counted and lock out, also when they are tried all at once', async () => {
    pairing = make({ attempts: { limit: 5, window: '10m' } });
    const { code } = await pairing.create(desk);
    const guesses = await Promise.all(
      Array.from({ length: 50 }, () => pairing.claim('BBBBBBBB', { by: 'user-9' })),
    );
    expect(guesses.filter(({ outcome }) => outcome === 'unknown')).toHaveLength(5);
    const locked = await pairing.claim(code, { by: 'user-9' });
    expect(locked).toMatchObject({ outcome: 'locked' });
    expect((locked as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(500_000);
    expect(await pairing.claim(code, { by: 'user-7' })).toMatchObject({ outcome: 'claimed' });
  });

  it('wrong codes are counted for where they come from, and right ones are not counted', async () => {
    pairing = make({ attempts: { limit: 2, window: '10m' } });
    for (let index = 0; index < 5; index++) {
      const { code } = await pairing.create(desk);
      expect(await pairing.claim(code, { by: 'user-7', from: '192.0.2.1' })).toMatchObject({
        outcome: 'claimed',
      });
    }
    for (const by of ['a', 'b']) {
      expect(await pairing.claim('x', { by, from: '192.0.2.1' })).toEqual({ outcome: 'unknown' });
    }
    expect(await pairing.claim('x', { by: 'c', from: '192.0.2.1' })).toMatchObject({ outcome: 'locked' });
    expect(await pairing.claim('x', { by: 'c', from: '192.0.2.2' })).toEqual({ outcome: 'unknown' });
  });

  it('who is locked out may try again when the time is over', async () => {
    pairing = make({ attempts: { limit: 1, window: 200 } });
    const { code } = await pairing.create(desk);
    await pairing.claim('x', { by: 'user-7' });
    await eventually(async () => (await pairing.claim(code, { by: 'user-7' })).outcome).toBe('claimed');
  });

  it('it goes through the states of RFC 8628', async () => {
    pairing = make({ interval: 1 });
    const { code, secret } = await pairing.create(desk);
    const error = async (): Promise<unknown> => (await pairing.poll(secret)).error;
    await eventually(error).toBe('authorization_pending');
    await pairing.claim(code, { by: 'user-7' });
    await eventually(error).toBe('authorization_pending');
    expect(await pairing.confirm(code, { by: 'user-8', answer: { user: '8' } })).toBe(false);
    expect(await pairing.confirm(code, { by: 'user-7', answer: { user: '7' } })).toBe(true);
    expect(await pairing.confirm(code, { by: 'user-7', answer: { user: '7' } })).toBe(true);
    expect(await pairing.deny(code, { by: 'user-7' })).toBe(false);
    await eventually(() => pairing.poll(secret)).toEqual({
      error: undefined,
      data: desk,
      by: 'user-7',
      answer: { user: '7' },
    });

    const denied = await pairing.create(desk);
    expect(await pairing.deny(denied.code, { by: 'user-7' })).toBe(false);
    await pairing.claim(denied.code, { by: 'user-7' });
    expect(await pairing.deny(denied.code, { by: 'user-7' })).toBe(true);
    expect(await pairing.confirm(denied.code, { by: 'user-7', answer: { user: '7' } })).toBe(false);
    expect(await pairing.poll(denied.secret)).toEqual({ error: 'access_denied' });
    await pairing.cancel(denied.secret);
    expect(await pairing.poll(denied.secret)).toEqual({ error: 'expired_token' });
  });

  it('a device that asks too often is told to slow down', async () => {
    const { secret, intervalMs } = await pairing.create(desk);
    expect(intervalMs).toBe(5_000);
    expect(await pairing.poll(secret)).toEqual({ error: 'authorization_pending' });
    expect(await pairing.poll(secret)).toEqual({ error: 'slow_down' });
    expect(await pairing.status(secret)).toMatchObject({ state: 'pending' });
  });

  it('the state of a pairing is told to nobody but the one who made it', async () => {
    const { code, secret } = await pairing.create(desk);
    const other = await pairing.create({ device: 'other' });
    const forged = `${code}.${other.secret.slice(9)}`;
    expect(await pairing.status(forged)).toEqual({ state: 'expired' });
    expect(await pairing.cancel(forged)).toBe(false);
    for (const wrong of [code, '', `${secret}x`, undefined]) {
      expect(await pairing.status(wrong as string)).toEqual({ state: 'expired' });
    }
    expect(JSON.stringify(await redis.command('HGETALL', pairingKey(namespace, code)))).not.toContain(
      secret.slice(9),
    );
  });

  it('the device hears of the claim at once, and of the decision', async () => {
    const phone = createPairing<Device, Answer>({ redis: open(), namespace, wakeUp });
    const { code, secret } = await pairing.create(desk);
    const claimed = pairing.waitForClaim(secret);
    const decided = pairing.waitForClaim(secret, { until: 'decided' });
    // A cluster does not tell who listens on another node.
    if (server.startsWith('standalone')) {
      const channel = pairingKey(namespace, code);
      await eventually(() => redis.command('PUBSUB', 'NUMSUB', channel)).toEqual([channel, 1]);
    }
    const began = performance.now();
    await phone.claim(code, { by: 'user-7' });
    expect(await claimed).toMatchObject({ state: 'claimed', by: 'user-7' });
    if (server.startsWith('standalone')) expect(performance.now() - began).toBeLessThan(1_000);
    await phone.confirm(code, { by: 'user-7', answer: { user: '7' } });
    expect(await decided).toMatchObject({ state: 'confirmed', answer: { user: '7' } });
    await phone.close();
  });

  it('a wait ends with the pairing, with its time, and with its signal', async () => {
    const short = make({ ttl: 300 });
    const { secret } = await short.create(desk);
    expect(await short.waitForClaim(secret)).toEqual({ state: 'expired' });
    const long = await pairing.create(desk);
    expect(await pairing.waitForClaim(long.secret, { wait: 50 })).toMatchObject({ state: 'pending' });
    const controller = new AbortController();
    const waiting = pairing.waitForClaim(long.secret, { signal: controller.signal });
    const reason = new Error('closed');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    const cancelled = pairing.waitForClaim(long.secret);
    await pairing.cancel(long.secret);
    expect(await cancelled).toEqual({ state: 'expired' });
  });

  it('without subscriptions it is waited for by looking', async () => {
    const looking = make({ redis: withoutSubscriptions(redis), wakeUp: 'poll' });
    const { code, secret } = await looking.create(desk);
    const waiting = looking.waitForClaim(secret);
    await looking.claim(code, { by: 'user-7' });
    expect(await waiting).toMatchObject({ state: 'claimed', by: 'user-7' });
  });

  it('leaves nothing behind that does not expire', async () => {
    const { code } = await pairing.create(desk);
    await pairing.claim('x', { by: 'user-7' });
    await pairing.claim(code, { by: 'user-7' });
    for await (const page of redis.scan(`${namespace}:`)) {
      for (const key of page) expect(await redis.command('PTTL', key)).toBeGreaterThan(0);
    }
  });
});

describe('createPairing()', () => {
  const [client] = ioredis as [(typeof ioredis)[0] & object];

  it('refuses options and arguments that are none', async () => {
    const redis = ioredisExecutor(client.standalone(inject('redisUrl')), { commandTimeout: '5s' });
    expect(() => createPairing({ redis: withoutSubscriptions(redis) })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_BY_CLIENT' }),
    );
    for (const options of [
      { redis, ttl: 0 },
      { redis, ttl: '2d' },
      { redis, interval: 0 },
      { redis, attempts: { limit: 0, window: '1m' } },
      { redis, attempts: { limit: 1.5, window: '1m' } },
      { redis, attempts: { limit: 1, window: 0 } },
      { redis, wakeUp: 'push' },
      { redis, codes: 1 },
    ]) {
      expect(() => createPairing(options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    }
    const pairing = createPairing<unknown, unknown>({ redis });
    await expect(pairing.create(undefined)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const by of ['', undefined, 'x'.repeat(257)]) {
      await expect(pairing.claim('BBBBBBBB', { by: by as string })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    await redis.close();
  });
});
