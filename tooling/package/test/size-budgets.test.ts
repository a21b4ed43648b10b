import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { entriesOf, packages, root } from '../../build/packages.ts';

/** One of a whole entry, or, with `import`, of what a bundler keeps of it for who imports no more. */
type Budget = { name: string; path: string; import?: string; limit: string };

test('every entry has a budget for its size, and every budget is of an entry', () => {
  const budgets = JSON.parse(readFileSync(`${root}.size-limit.json`, 'utf8')) as Budget[];
  const entries = packages.flatMap((each) =>
    entriesOf(each).map(([entry, target]) => ({
      name: join(each.name, entry),
      path: join(each.folder.slice(root.length), target.import.default),
    })),
  );
  const whole = budgets.filter((budget) => budget.import === undefined);
  expect(whole.map(({ name, path }) => ({ name, path }))).toEqual(entries);
  const paths = new Set(entries.map(({ path }) => path));
  expect(budgets.every(({ path }) => paths.has(path))).toBe(true);
  expect(budgets.every(({ limit }) => /^\d/.test(limit))).toBe(true);
});
