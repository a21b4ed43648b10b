import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { entriesOf, packages } from '../../tooling/build/packages.ts';

test.each(packages)('the reference of $name documents every entry', (published) => {
  const { entryPoints } = JSON.parse(readFileSync(`${published.folder}/typedoc.json`, 'utf8'));
  expect(entryPoints).toEqual(
    entriesOf(published).map(([, target]) => target['@cachekit/source']?.replace(/^\.\//, '')),
  );
});
