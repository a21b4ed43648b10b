import { FakeClock } from '@cachekit/core/testing';
import { describe, expect, test, vi } from 'vitest';
import { rateLimitedFetch, withRateLimit } from '../src/fetch/index.ts';
import { parseRateLimit, parseRetryAfter } from '../src/http/rate-limit-fields.ts';
import { createRateLimiter, gcra, memoryStore } from '../src/index.ts';

/** A server that answers with these, one after the other, and then with 200. */
function scripted(...answers: { status?: number; headers?: Record<string, string> }[]) {
  const clock = new FakeClock();
  const seen: { at: number; body: string }[] = [];
  const began = clock.now();
  const send = rateLimitedFetch({
    fetch: async (request) => {
      seen.push({ at: clock.now() - began, body: await request.text() });
      const { status = 200, headers = {} } = answers.shift() ?? {};
      return new Response('x', { status, headers });
    },
    clock,
    random: () => 0,
  });
  return { clock, seen, send };
}
const url = 'http://localhost/';

describe('rateLimitedFetch()', () => {
  test('asks again in time, also when the time of day is set back meanwhile', async () => {
    vi.useFakeTimers();
    try {
      const answers = [new Response(null, { status: 429, headers: { 'Retry-After': '5' } })];
      const send = rateLimitedFetch({ fetch: async () => answers.shift() ?? new Response(), maxWait: '1s' });
      expect((await send(url)).status).toBe(429);
      vi.setSystemTime(Date.now() - 3_600_000);
      expect((await send(url)).status).toBe(429);
      await vi.advanceTimersByTimeAsync(6_000);
      expect((await send(url)).status).toBe(200);
    } finally {
      vi.useRealTimers();
    }
  });

  test('passes exactly the limit of a server of ours, and is never refused again', async () => {
    const clock = new FakeClock();
    const limits = createRateLimiter({
      policies: { api: gcra({ limit: 2, window: '4s' }) },
      store: memoryStore(),
      clock,
    });
    const handle = withRateLimit(
      limits,
      { check: () => ({ ids: { api: ['u1'] } }) },
      () => new Response('served'),
    );
    const statuses: number[] = [];
    const send = rateLimitedFetch({
      fetch: async (request) => {
        const response = await handle(request);
        statuses.push(response.status);
        return response;
      },
      clock,
      random: () => 0,
    });
    for (let i = 0; i < 5; i++) {
      const answered = send(url);
      await clock.advance(4_000);
      expect((await answered).status).toBe(200);
    }
    expect(statuses.filter((status) => status === 429)).toEqual([]);
  });

  test('repeats a refused request, body and all, after exactly the time that was asked for', async () => {
    const { clock, seen, send } = scripted({ status: 429, headers: { 'Retry-After': '3' } });
    const answered = send(url, { method: 'POST', body: 'order' });
    await clock.advance(2_999);
    expect(seen).toEqual([{ at: 0, body: 'order' }]);
    await clock.advance(1);
    expect((await answered).status).toBe(200);
    expect(seen).toEqual([
      { at: 0, body: 'order' },
      { at: 3_000, body: 'order' },
    ]);
  });

  test('a refusal whose connection is lost meanwhile is repeated as any other', async () => {
    const clock = new FakeClock();
    let lose: (error: Error) => void = () => {};
    const refusal = new ReadableStream({
      start(controller) {
        lose = (error) => controller.error(error);
      },
    });
    const answers = [new Response(refusal, { status: 429, headers: { 'Retry-After': '3' } })];
    const send = rateLimitedFetch({
      fetch: async () => answers.shift() ?? new Response('served'),
      clock,
      random: () => 0,
    });
    const answered = send(url).then(({ status }) => status, String);
    await clock.advance(1_000);
    lose(new Error('connection reset'));
    await clock.advance(2_000);
    expect(await answered).toBe(200);
  });

  test('a server that says "now" again and again is asked ever more seldom, and at last its refusal is the answer', async () => {
    const past = new Date(0).toUTCString();
    for (const when of ['0', past]) {
      const refusals = Array.from({ length: 100 }, () => ({ status: 429, headers: { 'Retry-After': when } }));
      const { clock, seen, send } = scripted(...refusals);
      const answered = send(url);
      for (let second = 0; second < 30; second++) await clock.advance(1_000);
      expect((await answered).status).toBe(429);
      const gaps = seen.slice(1).map(({ at }, index) => at - (seen[index] as { at: number }).at);
      expect(gaps.length).toBeGreaterThan(2);
      expect(gaps).toEqual(gaps.map((_, index) => 100 * 2 ** index));
    }
  });

  test('a refusal that says no time, or too long a one, is the answer', async () => {
    for (const headers of [{}, { 'Retry-After': '31' }, { 'Retry-After': 'soon' }]) {
      const { seen, send } = scripted({ status: 429, headers });
      expect((await send(url)).status).toBe(429);
      expect(seen.length).toBe(1);
    }
  });

  test('a server that refused another request for longer than maxWait gets none before', async () => {
    const { clock, seen, send } = scripted({ status: 429, headers: { 'Retry-After': '60' } });
    await send(url);
    await clock.advance(10_500);
    const known = await send(url);
    expect([known.status, known.headers.get('Retry-After')]).toEqual([429, '50']);
    expect(seen.length).toBe(1);
    await clock.advance(20_000);
    const patient = send(url);
    await clock.advance(29_500);
    expect((await patient).status).toBe(200);
    expect(seen.map(({ at }) => at)).toEqual([0, 60_000]);
  });

  test('the body of a refusal that is repeated is let go, and that of one that is returned is not', async () => {
    const clock = new FakeClock();
    const cancelled: number[] = [];
    let calls = 0;
    const send = rateLimitedFetch({
      fetch: async () => {
        const call = ++calls;
        const body = new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(1)),
          cancel: () => void cancelled.push(call),
        });
        return call === 1
          ? new Response(body, { status: 503, headers: { 'Retry-After': '1' } })
          : new Response(body);
      },
      clock,
      random: () => 0,
    });
    const answered = send(url);
    await clock.advance(1_000);
    expect((await answered).status).toBe(200);
    expect(cancelled).toEqual([1]);
  });

  test('waits for what RateLimit says before the next request, of that origin only', async () => {
    const { clock, seen, send } = scripted({ headers: { RateLimit: '"api";r=0;t=2, "day";r=7' } });
    await send(url);
    await send('http://elsewhere/');
    const second = send(url);
    await clock.advance(1_999);
    expect(seen.length).toBe(2);
    await clock.advance(1);
    await second;
    expect(seen.map(({ at }) => at)).toEqual([0, 0, 2_000]);
  });

  test('what a cache answers, and malformed fields, say nothing', async () => {
    for (const headers of [
      { RateLimit: '"api";r=0;t=9', Age: '1' },
      { RateLimit: 'api;r=0;t=9' },
      { RateLimit: '"api";r=0.5;t=9' },
      { RateLimit: '"api";t=9' },
      { RateLimit: '"api";r=0;t=9,' },
      { RateLimit: '"api";r=0;t=9 garbage' },
    ]) {
      const { seen, send } = scripted({ headers: headers as Record<string, string> });
      await send(url);
      await send(url);
      expect(seen.map(({ at }) => at)).toEqual([0, 0]);
    }
  });

  test('an aborted request rejects while it waits, and is not sent', async () => {
    const { clock, seen, send } = scripted({ headers: { RateLimit: '"api";r=0;t=20' } });
    await send(url);
    const controller = new AbortController();
    const waiting = send(url, { signal: controller.signal });
    const outcome = expect(waiting).rejects.toThrow('closed');
    await clock.advance(1_000);
    controller.abort(new Error('closed'));
    await outcome;
    expect(seen.length).toBe(1);
    expect(clock.timers).toBe(0);
  });

  test('refuses an option that is none', () => {
    expect(() => rateLimitedFetch({ retries: 3 } as never)).toThrow(/unknown option "retries"/);
  });
});

describe('the fields', () => {
  test('of the draft are read as they are written there', () => {
    expect(parseRateLimit('"default";r=50;t=30')).toEqual([
      { policy: 'default', remaining: 50, seconds: 30 },
    ]);
    expect(parseRateLimit('"a\\"b";r=1 , "b" ; r=2 ; pk=:cHNsZWFzZQ==: ; t=3;x="y;z"')).toEqual([
      { policy: 'a"b', remaining: 1, seconds: undefined },
      { policy: 'b', remaining: 2, seconds: 3 },
    ]);
    expect(parseRateLimit(null)).toEqual([]);
  });

  test('a RateLimit field that is hard to refuse is refused at once', () => {
    const parameters = ';pk=:cHNs:'.repeat(26);
    expect(parseRateLimit(`"a"${parameters};r=1`)).toEqual([
      { policy: 'a', remaining: 1, seconds: undefined },
    ]);
    const began = performance.now();
    expect(parseRateLimit(`"a"${parameters}"`)).toEqual([]);
    expect(parseRateLimit(`"a"${parameters};r=:`)).toEqual([]);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test('Retry-After is seconds or a date', () => {
    expect(parseRetryAfter('120', 0)).toBe(120_000);
    expect(parseRetryAfter('Fri, 31 Dec 1999 23:59:59 GMT', Date.UTC(1999, 11, 31, 23, 59, 0))).toBe(59_000);
    expect(parseRetryAfter('Fri, 31 Dec 1999 23:59:59 GMT', Date.UTC(2020, 1))).toBe(0);
    for (const wrong of ['', '-1', '1.5', 'soon', null]) expect(parseRetryAfter(wrong, 0)).toBeUndefined();
  });
});
