import { describe, expect, it } from 'vitest';
import { createRefresher, defineView, type RefresherOptions, refreshSource } from '../src/index.ts';

const sql = {
  query: () => Promise.reject(new Error('not used')),
  transaction: () => Promise.reject(new Error('not used')),
};
const stored = defineView({ name: 'stored', kind: 'materialized', query: 'select 1 as one' });
const plain = defineView({ name: 'plain', kind: 'view', query: 'select 1 as one' });

describe('createRefresher()', () => {
  it.each<[string, object]>([
    ['an unknown option', { interval: 5 }],
    ['an unknown timeout', { timeout: { statement: 5 } }],
    ['no executor', { sql: undefined }],
    ['no materialized view', { views: [plain] }],
    ['a duration that is none', { debounce: 'soon' }],
    ['a negative duration', { maxWait: -1 }],
    ['a maximum below the debounce', { debounce: '5s', maxWait: '1s' }],
    ['a timeout of nothing', { timeout: { run: 0 } }],
  ])('refuses %s', (_what, options) => {
    expect(() => createRefresher({ sql, views: [stored], ...options } as RefresherOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });

  it('refuses an unknown option of a call, and a view it does not keep', async () => {
    const refresher = createRefresher({ sql, views: [stored, plain] });
    await expect(refresher.refresh('stored', { within: 5 } as never)).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
    await expect(refresher.refresh('plain')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('refreshSource()', () => {
  it('refuses an unknown option', () => {
    expect(() => refreshSource({ sql, name: 'x' } as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
    );
  });
});
