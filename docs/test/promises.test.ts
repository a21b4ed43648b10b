import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

test('every promise of the page is held by a test whose name has its id', () => {
  const ids = [...read('docs/promises.md').matchAll(/^\| ([A-Z]+-\d+) \|/gm)].map(([, id]) => id as string);
  expect(ids.length).toBeGreaterThanOrEqual(18);
  expect(new Set(ids).size).toBe(ids.length);
  const files = globSync('{packages,examples}/**/*.ts', {
    cwd: root,
    exclude: ['**/node_modules', '**/dist'],
  });
  const names = files
    .filter((path) => path.includes('/test/') || path.includes('/testing/'))
    .flatMap((path) => read(path).match(/^\s*(?:test|it|describe|['"`]).*$/gm) ?? [])
    .join('\n');
  for (const id of ids) expect(names, id).toMatch(new RegExp(`\\b${id}\\b`));
});
