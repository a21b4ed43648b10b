import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, inject } from 'vitest';
import { type CreateDatabaseOptions, createDatabase, type FreshDatabase } from './fresh-database.ts';

/**
 * A fresh database for the tests of a file (or of a `describe`), dropped after them.
 *
 * Call it where `beforeAll` may be called; `url` can be read from then on in hooks and tests.
 */
export function useDatabase(options: CreateDatabaseOptions = {}): { readonly url: string } {
  let database: FreshDatabase | undefined;
  beforeAll(async () => {
    database = await createDatabase(inject('postgresUrl'), options);
  });
  afterAll(async () => {
    await database?.drop();
  });
  return {
    get url(): string {
      if (database === undefined) throw new Error('useDatabase(): the url is there in hooks and tests only');
      return database.url;
    },
  };
}

/** A namespace that no other test uses, so that tests share one Redis without meeting. */
export function uniqueNamespace(): string {
  return `t${randomBytes(6).toString('hex')}`;
}
