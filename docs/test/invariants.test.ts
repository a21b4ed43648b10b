import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('every invariant of ARCHITECTURE.md names a test that exists', () => {
  const rows = [...read('ARCHITECTURE.md').matchAll(/^\| (I\d+) \| .+ \| `([^`]+)` › (.+) \|$/gm)];
  expect(rows.map(([, id]) => id)).toEqual(rows.map((_, index) => `I${index + 1}`));
  expect(rows.length).toBeGreaterThanOrEqual(16);
  for (const [, id, file = '', name = ''] of rows) {
    expect(read(file), `${id}: ${file} has no test "${name}"`).toContain(`'${name}'`);
  }
});
