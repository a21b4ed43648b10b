import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { drawChangedGroups, drawFreshExactPrice, readResults } from '../pictures/fresh-exact-price.ts';

test('the pictures of freshness and price are drawn from the results of the bench', async () => {
  const results = readResults();
  expect(results.command).toMatch(/^pnpm bench pg --save/);
  await expect(drawFreshExactPrice(results)).toMatchFileSnapshot('../fresh-exact-price.svg');
  await expect(drawChangedGroups(results)).toMatchFileSnapshot('../changed-groups.svg');
});

test('the page says no figure but those of the pictures', () => {
  const page = readFileSync(new URL('../fresh-exact-price.md', import.meta.url), 'utf8');
  const prose = page.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/`[^`]*`/g, '');
  expect(prose.match(/\d+(?:\.\d+)?\s*(?:ms|µs|us|s|%|times|x)\b|\d+×/g) ?? []).toEqual([]);
});
