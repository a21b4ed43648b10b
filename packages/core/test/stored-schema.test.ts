import { describe, expect, test } from 'vitest';
import {
  createCache,
  defineKeys,
  isCacheKitError,
  jsonCodec,
  resource,
  type StandardSchemaV1,
} from '../src/index.ts';
import { memoryRemoteTier } from '../src/testing/index.ts';

interface Contact {
  readonly name: string;
  readonly since: Date;
}

/** A schema as libraries make them: it checks, and turns the text of a date into a date. */
const contactSchema: StandardSchemaV1<Contact> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { name, since } = value as { name?: unknown; since?: string };
      if (typeof name !== 'string')
        return { issues: [{ message: 'expected text', path: [{ key: 'name' }] }] };
      return { value: { name, since: new Date(since ?? 0) } };
    },
  },
};
const fromV1 = (stored: unknown) => {
  const { first, last } = stored as { first?: string; last?: string };
  if (first === undefined) throw new Error('not of version 1 either');
  return { name: `${first} ${last}`, since: '2026-01-01' };
};
const before = defineKeys({ scope: 'tenant', resources: { contact: resource<unknown>() } });
const now = defineKeys({
  scope: 'tenant',
  resources: { contact: resource({ schema: contactSchema, migrate: fromV1 }) },
});
const key = now.contact({ tenant: 'acme' });
const ana: Contact = { name: 'Ana Lima', since: new Date('2026-01-01') };

/** A cache of this program, in front of what another version of it stored. */
async function afterOther(stored: unknown) {
  const remote = memoryRemoteTier();
  const other = createCache({ remote, codec: jsonCodec });
  await other.set(before.contact({ tenant: 'acme' }), stored);
  const cache = createCache({ remote });
  const damaged: unknown[] = [];
  cache.on('damaged', ({ error }) => damaged.push(error));
  return { cache, damaged };
}

describe('resource({ schema })', () => {
  test('inspect() says that what is stored is a miss, and why', async () => {
    const { cache, damaged } = await afterOther({ title: 'x' });
    expect(await cache.inspect(key)).toMatchObject({
      would: 'miss',
      why: 'What is stored cannot be read: not of version 1 either',
      remote: { life: 'fresh', trusted: false },
    });
    expect(damaged).toEqual([]);
    expect(await cache.read(key, async () => ana)).toMatchObject({ value: ana, state: 'miss' });
    expect(await cache.inspect(key)).toMatchObject({ would: 'hit', remote: { trusted: true } });
  });

  test('gives what the schema makes of a stored value, so that a date is one again', async () => {
    const { cache, damaged } = await afterOther({ name: 'Ana Lima', since: '2026-01-01' });
    expect(await cache.read(key, async () => ana)).toMatchObject({ value: ana, state: 'hit' });
    expect(damaged).toEqual([]);
  });

  test('migrates what an older version stored', async () => {
    const { cache } = await afterOther({ first: 'Ana', last: 'Lima' });
    expect(await cache.read(key, async () => ana)).toMatchObject({ value: ana, state: 'hit' });
  });

  test('loads what does not fit anew, says why, and replaces it', async () => {
    const { cache, damaged } = await afterOther({ title: 'x' });
    expect(await cache.read(key, async () => ana)).toMatchObject({ value: ana, state: 'miss' });
    expect(damaged).toEqual([new Error('not of version 1 either')]);
    expect(await cache.read(key, async () => ana)).toMatchObject({ state: 'hit' });

    const plain = defineKeys({
      scope: 'tenant',
      resources: { contact: resource({ schema: contactSchema }) },
    });
    const again = await afterOther({ name: 7 });
    expect(await again.cache.read(plain.contact({ tenant: 'acme' }), async () => ana)).toMatchObject({
      state: 'miss',
    });
    expect(again.damaged[0]).toMatchObject({
      message: 'What was stored for "contact" does not fit its schema: name: expected text',
    });
  });

  test('does not wait for a schema that answers in a promise', async () => {
    const slow: StandardSchemaV1<Contact> = {
      '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('late')) },
    };
    const keys = defineKeys({ scope: 'tenant', resources: { contact: resource({ schema: slow }) } });
    const { cache, damaged } = await afterOther(ana);
    expect(await cache.read(keys.contact({ tenant: 'acme' }), async () => ana)).toMatchObject({
      state: 'miss',
    });
    expect(damaged[0]).toSatisfy((error) => isCacheKitError(error, 'INVALID_ARGUMENT'));
  });

  test('does not ask the schema about "does not exist"', async () => {
    const { cache, damaged } = await afterOther(null);
    expect(await cache.read(key, async () => ana)).toMatchObject({ value: null, state: 'hit' });
    expect(damaged).toEqual([]);
  });

  test('refuses what is no schema', () => {
    const define = (options: unknown) => () =>
      defineKeys({ scope: 'tenant', resources: { a: { options } as never } });
    const wrong = [
      { schema: {} },
      { schema: null },
      { migrate: () => 1 },
      { schema: contactSchema, migrate: 1 },
    ];
    for (const options of wrong) {
      expect(define(options)).toThrow(
        expect.toSatisfy((error) => isCacheKitError(error, 'INVALID_CONFIGURATION')),
      );
    }
  });
});
