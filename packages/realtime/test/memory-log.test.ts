import { afterEach, describe, expect, it, vi } from 'vitest';
import { createMemoryLog } from '../src/index.ts';
import { eventLogSuite } from './log-suite.ts';

vi.setConfig({ testTimeout: 60_000 });

eventLogSuite('createMemoryLog()', async (options) => {
  const log = createMemoryLog(options);
  return () => log;
});

describe('createMemoryLog()', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('forgets a tenant that nobody has used for as long as it keeps, and no other', async () => {
    vi.useFakeTimers();
    const log = createMemoryLog({ keep: '1m' });
    const before = await log.append('idle', [{ type: 't', body: '{}' }]);
    const followed = await log.position('followed');
    await log.follow('followed', { appended: () => {}, restored: () => {} });
    vi.advanceTimersByTime(61_000);
    await log.append('other', [{ type: 't', body: '{}' }]);
    const tenants: string[] = [];
    for await (const some of log.tenants()) tenants.push(...some);
    expect(tenants.sort()).toEqual(['followed', 'other']);
    expect((await log.readAfter('idle', before.position, 1)).state).toBe('gap');
    expect(await log.position('followed')).toEqual(followed);
  });

  it('keeps a bounded number of events and origins', async () => {
    const log = createMemoryLog({ length: 10 });
    for (let n = 0; n < 1_000; n += 1) await log.append('a', [{ type: 't', body: '{}', origin: `s:${n}` }]);
    expect(await log.append('a', [{ type: 't', body: '{}', origin: 's:999' }])).toMatchObject({
      repeated: 1,
    });
    expect(await log.append('a', [{ type: 't', body: '{}', origin: 's:5' }])).toMatchObject({ appended: 1 });
  });

  it.each([[{ length: 0 }], [{ length: 1.5 }], [{ keep: 'soon' as '1s' }], [{ size: 3 } as never]])(
    'refuses %o',
    (options) => {
      expect(() => createMemoryLog(options)).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    },
  );

  it('refuses a tenant that no key could hold', async () => {
    const log = createMemoryLog();
    for (const tenant of ['', 'x'.repeat(129), undefined as never]) {
      await expect(log.append(tenant, [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});
