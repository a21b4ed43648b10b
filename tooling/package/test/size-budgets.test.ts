import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { entriesOf, packages, root } from '../../build/packages.ts';

type Budget = { name: string; path: string; limit: string };

test('every entry has a budget for its size, and every budget is of an entry', () => {
  const budgets = JSON.parse(readFileSync(`${root}.size-limit.json`, 'utf8')) as Budget[];
  const entries = packages.flatMap((each) =>
    entriesOf(each).map(([entry, target]) => ({
      name: join(each.name, entry),
      path: join(each.folder.slice(root.length), target.import.default),
    })),
  );
  expect(budgets.map(({ name, path }) => ({ name, path }))).toEqual(entries);
  expect(budgets.every(({ limit }) => /^\d/.test(limit))).toBe(true);
});
