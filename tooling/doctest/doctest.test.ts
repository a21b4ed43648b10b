import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installOutbox, pgExecutor } from '@cachekit/core/postgres';
import { useDatabase } from '@cachekit/services/vitest';
import pg from 'pg';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import type { Example } from './example.ts';
import { allExamples } from './examples.ts';
import { type Program, programOf } from './program.ts';
import { scopeOf } from './scope.ts';
import { type TypeFault, typeErrors } from './type-errors.ts';

const folder = fileURLToPath(new URL('.cache/examples', import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const { pages, docstrings } = allExamples();
const written = [...pages, ...docstrings].map((example, at) => {
  // A reader copies what a page shows, so a page has to show its imports; a docstring has its package around it.
  const scope = docstrings.includes(example) ? scopeOf(example.file, folder) : new Map();
  const program = programOf(example, scope);
  const name = `example-${at}.${example.jsx ? 'tsx' : 'ts'}`;
  writeFileSync(join(folder, name), program.text);
  return { example, program, name };
});

// The programs keep their connections, so nobody has to be waited for long.
const database = useDatabase({ patience: 500 });
let errors: Map<string, TypeFault[]>;

beforeAll(async () => {
  errors = typeErrors(folder);
  process.env.DATABASE_URL = database.url;
  process.env.REDIS_URL = inject('redisUrl');
  const client = new pg.Client(database.url);
  await client.connect();
  await client.query(readFileSync(new URL('tables.sql', import.meta.url), 'utf8'));
  await client.end();
  const pool = new pg.Pool({ connectionString: database.url });
  for (const outbox of ['change', 'view_change']) await installOutbox(pgExecutor(pool), outbox);
  await pool.end();
});

function place({ file, line, title }: Example): string {
  return `${file}:${line}${title ? ` ${title}` : ''}`;
}

function located(example: Example, program: Program, found: readonly TypeFault[] = []): string[] {
  return found.map(
    ({ line, message }) => `${example.file}:${line - program.offset + example.line - 1} ${message}`,
  );
}

test('there are examples to check', () => {
  expect(docstrings.length).toBeGreaterThan(10);
});

describe.each(written)('$example.file:$example.line $example.title', ({ example, program, name }) => {
  test('has the types it claims', () => {
    expect(located(example, program, errors.get(name))).toEqual([]);
  });
  if (!example.run) return;
  test('runs', async () => {
    await import(join(folder, name)).catch((error: unknown) => {
      throw new Error(`${place(example)} does not run`, { cause: error });
    });
  });
});
