import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The members of the union in `errors.ts`, and the anchors of the page that explains them. */
function codesIn(source: string): string[] {
  const union = /export type CacheKitErrorCode =([^;]+);/.exec(source)?.[1] ?? '';
  return [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code as string);
}

function anchorsIn(page: string): string[] {
  return [...page.matchAll(/^## (\S+) \{#(\S+)\}$/gm)].map(([, title, anchor]) => {
    expect(title).toBe(anchor);
    return anchor as string;
  });
}

test('every error code has an anchor in errors.md, and every anchor is a code', () => {
  const codes = codesIn(read('packages/core/src/errors.ts'));
  expect(codes.length).toBeGreaterThan(10);
  expect(anchorsIn(read('docs/errors.md'))).toEqual(codes);
});

test('every error code is one that something throws', () => {
  const union = /export type CacheKitErrorCode =[^;]+;/;
  const sources = globSync('packages/*/src/**/*.ts', { cwd: new URL('../../', import.meta.url) })
    .map((path) => read(path).replace(union, ''))
    .join('\n');
  for (const code of codesIn(read('packages/core/src/errors.ts'))) {
    expect(sources, code).toMatch(new RegExp(`['<]\\s*'?${code}'`));
  }
});
