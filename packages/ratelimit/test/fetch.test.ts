import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test } from 'vitest';
import { withRateLimit } from '../src/fetch/index.ts';
import { createRateLimiter, gcra, memoryStore } from '../src/index.ts';

const limiter = () =>
  createRateLimiter({
    policies: { api: gcra({ limit: 2, window: '2s' }), uploads: gcra({ limit: 10, window: '1m' }) },
    store: memoryStore(),
    clock: new FakeClock(),
  });
const request = (user = 'u1') => new Request('http://localhost/api', { headers: { 'x-user': user } });
const userOf = (incoming: Request) => incoming.headers.get('x-user') ?? '';

describe('withRateLimit()', () => {
  test('RC-4: lets requests pass with the header fields, then answers 429', async () => {
    const handle = withRateLimit(
      limiter(),
      { check: (incoming) => ({ ids: { api: [userOf(incoming)] } }) },
      () => Response.json({ ok: true }, { status: 201 }),
    );
    const first = await handle(request());
    expect(first.status).toBe(201);
    expect(await first.json()).toEqual({ ok: true });
    expect(first.headers.get('RateLimit')).toBe('"api";r=1;t=1');
    expect(first.headers.get('X-RateLimit-Remaining')).toBe('1');
    await handle(request());
    const denied = await handle(request());
    expect(denied.status).toBe(429);
    expect(denied.headers.get('Retry-After')).toBe('1');
    expect(denied.headers.get('Content-Type')).toBe('application/problem+json');
    expect(await denied.json()).toMatchObject({ status: 429, 'violated-policies': ['api'] });
    expect((await handle(request('u2'))).status).toBe(201);
  });

  test('the handler does not run for a denied request', async () => {
    let runs = 0;
    const handle = withRateLimit(limiter(), { check: () => ({ ids: { api: ['u1'] }, cost: 2 }) }, () => {
      runs++;
      return new Response();
    });
    await handle(request());
    await handle(request());
    expect(runs).toBe(1);
  });

  test('passes further arguments to check and handler, such as the parameters of a route', async () => {
    const handle = withRateLimit(
      limiter(),
      { check: async (_request, { device }) => ({ ids: { api: [device] }, tenant: 'acme' }) },
      (_request, { device }: { device: string }) => new Response(device),
    );
    expect(await (await handle(request(), { device: 'd1' })).text()).toBe('d1');
  });

  test('undefined lets a request pass uncounted', async () => {
    const handle = withRateLimit(limiter(), { check: () => undefined }, () => new Response('free'));
    for (let i = 0; i < 5; i++) {
      const response = await handle(request());
      expect(response.headers.has('RateLimit')).toBe(false);
    }
  });

  test('asks nothing if no id is given, and counts an id once, be it a number or its text', async () => {
    const limits = limiter();
    const none = withRateLimit(limits, { check: () => ({ ids: {} }) }, () => new Response('free'));
    expect((await none(request())).headers.has('RateLimit')).toBe(false);
    const inner = withRateLimit(limits, { check: () => ({ ids: { uploads: ['7'] } }) }, () => new Response());
    const outer = withRateLimit(limits, { check: () => ({ ids: { uploads: [7] } }) }, (asked) =>
      inner(asked),
    );
    await outer(request());
    expect((await limits.peek({ uploads: [7] })).limits.uploads.remaining).toBe(9);
  });

  test('the same request asked about twice at the same time is counted once', async () => {
    const limits = limiter();
    const handle = withRateLimit(
      limits,
      { check: () => ({ ids: { uploads: ['u1'] } }) },
      () => new Response(),
    );
    const same = request();
    const responses = await Promise.all([handle(same), handle(same)]);
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    expect((await limits.peek({ uploads: ['u1'] })).limits.uploads.remaining).toBe(9);
  });

  test('a response that is none passes as it is', async () => {
    const handle = withRateLimit(limiter(), { check: () => ({ ids: { api: ['u1'] } }) }, () =>
      Response.error(),
    );
    expect((await handle(request())).type).toBe('error');
  });

  test('adds its fields also to a response whose headers cannot be changed', async () => {
    const handle = withRateLimit(
      limiter(),
      { check: () => ({ ids: { api: ['u1'] } }), fields: 'legacy' },
      () => Response.redirect('http://localhost/elsewhere', 302),
    );
    const response = await handle(request());
    expect(response.status).toBe(302);
    expect(response.headers.get('Location')).toBe('http://localhost/elsewhere');
    expect(response.headers.get('X-RateLimit-Limit')).toBe('2');
    expect(response.headers.has('RateLimit')).toBe(false);
  });

  test('errors of check and of the handler pass unchanged', async () => {
    const failure = new Error('mine');
    const fail = () => {
      throw failure;
    };
    const inCheck = withRateLimit(limiter(), { check: fail }, () => new Response());
    const inHandler = withRateLimit(limiter(), { check: () => ({ ids: { api: ['u1'] } }) }, fail);
    await expect(inCheck(request())).rejects.toBe(failure);
    await expect(inHandler(request())).rejects.toBe(failure);
  });

  test('refuses options that are none, at construction', () => {
    const invalid = expect.objectContaining({ code: 'INVALID_CONFIGURATION' });
    expect(() => withRateLimit(limiter(), {} as never, () => new Response())).toThrow(invalid);
    const unknown = { check: () => undefined, header: 'x' };
    expect(() => withRateLimit(limiter(), unknown, () => new Response())).toThrow(invalid);
  });
});
