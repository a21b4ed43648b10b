import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertClaims } from '../claims.ts';
import { examplesOfSource } from '../docstrings.ts';
import type { Example } from '../example.ts';
import { examplesOfMarkdown } from '../markdown.ts';
import { programOf } from '../program.ts';
import { scopeOf } from '../scope.ts';
import { typeErrors } from '../type-errors.ts';

const cache = fileURLToPath(new URL('../.cache', import.meta.url));
let folder: string;
beforeAll(() => {
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(join(cache, 'test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const page = `# Page
\`\`\`ts
const a = 1;
\`\`\`
\`\`\`bash
npm test
\`\`\`
<!-- doctest
const hidden = 2;
-->
\`\`\`ts no-run
a + hidden;
\`\`\`
\`\`\`ts continued
a;
\`\`\`
\`\`\`ts not-a-program
getOrLoad(key, loader): Promise<T>
\`\`\`
`;

describe('a page', () => {
  test('gives its TypeScript fences with their lines and marks', () => {
    expect(examplesOfMarkdown('page.md', page)).toMatchObject([
      { line: 3, code: 'const a = 1;\n', setup: '', run: true },
      { line: 12, code: 'a + hidden;\n', setup: 'const hidden = 2;\n', run: false },
      { line: 15, code: 'a;\n', setup: 'const hidden = 2;\na + hidden;\n', run: true },
    ]);
  });

  test('refuses a mark that nobody reads', () => {
    expect(() => examplesOfMarkdown('page.md', '```ts norun\n1;\n```\n')).toThrow(
      'page.md:1: unknown mark norun',
    );
  });
});

describe('a docstring', () => {
  test('gives its examples up to the next tag', () => {
    const source = `import a from 'a';
/**
 * Quotes.
 * @example
 * quote('a'); // "'a'"
 *
 * quote('b');
 * @see nothing
 * @example
 * \`\`\`ts no-run
 * connect();
 * \`\`\`
 */
export function quote(text: string): string {}
`;
    expect(examplesOfSource('quote.ts', source)).toMatchObject([
      { line: 5, title: 'quote', run: true, code: `quote('a'); // "'a'"\n\nquote('b');\n` },
      { line: 11, title: 'quote', run: false, code: 'connect();\n' },
    ]);
  });
});

describe('a literal in a comment', () => {
  test.each([
    ['f(1); // 300_000', 'expect(f(1)).toEqual(300_000); // 300_000'],
    [
      'await f(); // { a: [1, -2], b: undefined }',
      'expect(await f()).toEqual({ a: [1, -2], b: undefined }); // { a: [1, -2], b: undefined }',
    ],
    [`const a = 1;\nf(a); // 'x'`, `const a = 1;\nexpect(f(a)).toEqual('x'); // 'x'`],
  ])('is a claim: %s', (code, asserted) => {
    expect(assertClaims(code)).toBe(asserted);
  });

  test.each([
    'f(); // 60 at once, then one every second',
    'f(); // "a ... z"',
    'f(); // g()',
    'const a = 1; // 1',
  ])('is none when it is more or less than a literal: %s', (code) => expect(assertClaims(code)).toBe(code));
});

function example(code: string): Example {
  return {
    file: 'packages/core/src/duration.ts',
    line: 1,
    title: '',
    code,
    setup: '',
    run: true,
    jsx: false,
  };
}

async function runs(name: string, code: string): Promise<unknown> {
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, programOf(example(code), scopeOf('packages/core/src/duration.ts', folder)).text);
  return import(file);
}

test('an example that is right runs, with the names of its package in scope', async () => {
  await runs('right', `durationMs('5m', 'ttl'); // 300_000\n`);
});

test('an example that throws fails', async () => {
  await expect(runs('throws', `durationMs('five', 'ttl');\n`)).rejects.toThrow('ttl');
});

test('an example that claims another value fails', async () => {
  await expect(runs('claims', `durationMs('5m', 'ttl'); // 5\n`)).rejects.toThrow('to deeply equal 5');
});

test('an example with a wrong type or an unknown name fails, on its own line', () => {
  const scope = scopeOf('packages/core/src/duration.ts', folder);
  const broken = programOf(example(`\ndurationMs(true, 'ttl');\nnobody;\n`), scope);
  writeFileSync(join(folder, 'broken.ts'), broken.text);
  const errors = typeErrors(folder).get('broken.ts') ?? [];
  expect(errors.map(({ line, message }) => [line - broken.offset, message.slice(0, 6)])).toEqual([
    [2, 'TS2345'],
    [3, 'TS2304'],
  ]);
});
