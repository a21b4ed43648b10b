import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { assertSeen, checkArchitecture } from '../architecture.ts';
import { importRules } from '../import-rules.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function manifest(name: string, ...entries: string[]): string {
  const exports = Object.fromEntries(
    entries.map((entry) => [entry, { '@cachekit/source': `./${join('src', entry, 'index.ts')}` }]),
  );
  return JSON.stringify({ name: `@cachekit/${name}`, type: 'module', exports });
}

const clean: Record<string, string> = {
  'packages/core/package.json': manifest('core', '.', './postgres', './testing'),
  'packages/core/src/index.ts': `export { createCache } from './create-cache.ts';\nexport type { Tier } from './ports/tier.ts';\n`,
  'packages/core/src/create-cache.ts': `import EventEmitter from 'eventemitter3';\nimport { read } from './engine/read.ts';\nexport const createCache = () => ({ read, events: new EventEmitter() });\n`,
  'packages/core/src/engine/read.ts': `import type { Tier } from '../ports/tier.ts';\nimport { lookup } from './steps/lookup.ts';\nexport const read = (tier: Tier) => lookup(tier);\n`,
  'packages/core/src/engine/steps/lookup.ts': `import type { Tier } from '../../ports/tier.ts';\nexport const lookup = (tier: Tier) => tier.get();\n`,
  'packages/core/src/engine/steps/commit.ts': `export const commit = (random = () => Math.random()) => random();\n`,
  'packages/core/src/ports/tier.ts': `import type { Failure } from '../errors.ts';\nexport type Tier = { get(): Failure };\n`,
  'packages/core/src/ports/clock.ts': 'export const clock = { now: () => Date.now() };\n',
  'packages/core/src/errors.ts': 'export type Failure = { code: string };\n',
  'packages/core/src/memory/tier.ts': `import type { Tier } from '../ports/tier.ts';\nexport const memory: Tier = { get: () => ({ code: 'A' }) };\n`,
  'packages/core/src/postgres/index.ts': `export { digest } from './digest.ts';\n`,
  'packages/core/src/postgres/digest.ts': `import { createHash } from 'node:crypto';\nexport const digest = () => createHash('sha256').update(process.version);\n`,
  'packages/core/src/testing/index.ts': `export { suite } from './suite.ts';\n`,
  'packages/core/src/testing/suite.ts': `import { test } from 'vitest';\nexport const suite = () => test(String(Date.now()));\n`,
  'packages/redis/package.json': manifest('redis', '.'),
  'packages/redis/src/index.ts': `export { redisTier } from './redis-tier.ts';\n`,
  'packages/redis/src/redis-tier.ts':
    `import type { Tier } from '@cachekit/core';\nimport type { RedisLike } from './redis-like.ts';\n` +
    'export const redisTier = (redis: RedisLike): Tier => redis.get({ process: 1 }).process;\n',
  'packages/redis/src/redis-like.ts':
    'export type RedisLike = {\n  // Whatever the client returns is decoded by us.\n  get(what: { process: number }): any;\n};\n',
  'packages/realtime/package.json': manifest('realtime', '.', './postgres'),
  'packages/realtime/src/index.ts': `export { hub } from './hub.ts';\n`,
  'packages/realtime/src/hub.ts': `import type { Tier } from '@cachekit/core';\nexport const hub = (tier: Tier) => tier;\n`,
  'packages/realtime/src/postgres/index.ts': `export { digest } from '@cachekit/core/postgres';\n`,
};

function tree(changes: Record<string, string> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'architecture-'));
  folders.push(root);
  for (const [path, text] of Object.entries({ ...clean, ...changes })) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const module of ['eventemitter3', 'vitest', 'ioredis']) {
    const folder = join(root, 'node_modules', module);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: module, main: 'index.js' }));
    writeFileSync(join(folder, 'index.js'), '');
  }
  mkdirSync(join(root, 'node_modules/@cachekit'));
  for (const name of ['core', 'redis', 'realtime']) {
    symlinkSync(join(root, 'packages', name), join(root, 'node_modules/@cachekit', name));
  }
  return root;
}

const breaches: [rule: string, changes: Record<string, string>][] = [
  [
    'core-imports-nobody',
    { 'packages/core/src/errors.ts': `export type { hub as Failure } from '@cachekit/realtime';\n` },
  ],
  [
    'no-sibling',
    {
      'packages/redis/src/redis-like.ts': `import { hub } from '@cachekit/realtime';\nexport type RedisLike = typeof hub;\n`,
    },
  ],
  [
    'no-sibling',
    {
      'packages/redis/src/redis-like.ts': `import type { hub } from '@cachekit/realtime';\nexport type RedisLike = typeof hub;\n`,
    },
  ],
  [
    'no-way-around-entries',
    {
      'packages/realtime/src/hub.ts': `import { memory } from '../../core/src/memory/tier.ts';\nexport const hub = memory;\n`,
    },
  ],
  [
    'ports-import-only-ports-and-data',
    {
      'packages/core/src/ports/tier.ts': `import type { memory } from '../memory/tier.ts';\nexport type Tier = typeof memory;\n`,
    },
  ],
  [
    'adapters-import-ports',
    {
      'packages/core/src/memory/tier.ts': `import type { createCache } from '../create-cache.ts';\nexport type M = typeof createCache;\n`,
    },
  ],
  [
    'engine-is-inside',
    {
      'packages/core/src/memory/tier.ts': `import { read } from '../engine/read.ts';\nexport const memory = read;\n`,
    },
  ],
  [
    'clients-by-environment',
    { 'packages/redis/src/env/index.ts': `import { test } from 'vitest';\nexport const env = test;\n` },
  ],
  ['engine-is-inside', { 'packages/core/src/index.ts': `export { read } from './engine/read.ts';\n` }],
  [
    'steps-are-leaves',
    {
      'packages/core/src/engine/steps/commit.ts': `import { lookup } from './lookup.ts';\nexport const commit = lookup;\n`,
    },
  ],
  [
    'steps-are-leaves',
    {
      'packages/core/src/engine/steps/commit.ts': `import type { read } from '../read.ts';\nexport type C = typeof read;\n`,
    },
  ],
  [
    'steps-are-leaves',
    {
      'packages/core/src/engine/steps/commit.ts': `import type { read } from '../load/read.ts';\nexport type C = typeof read;\n`,
      'packages/core/src/engine/load/read.ts': 'export const read = 1;\n',
    },
  ],
  [
    'no-cycle',
    {
      'packages/core/src/errors.ts': `import { memory } from './memory/tier.ts';\nexport type Failure = typeof memory;\n`,
    },
  ],
  [
    'no-cycle',
    {
      'packages/core/src/errors.ts': `import type { Tier } from './ports/tier.ts';\nexport type Failure = Tier;\n`,
    },
  ],
  [
    'no-foreign-code',
    { 'packages/redis/src/redis-tier.ts': `import Redis from 'ioredis';\nexport const redisTier = Redis;\n` },
  ],
  [
    'no-foreign-code',
    { 'packages/redis/src/redis-tier.ts': `export const redisTier = () => import('ioredis');\n` },
  ],
  [
    'no-foreign-code',
    { 'packages/redis/src/redis-tier.ts': `import type Redis from 'ioredis';\nexport type R = Redis;\n` },
  ],
  [
    'eventemitter3-in-core-only',
    {
      'packages/realtime/src/hub.ts': `import EventEmitter from 'eventemitter3';\nexport const hub = EventEmitter;\n`,
    },
  ],
  [
    'vitest-in-testing-only',
    { 'packages/core/src/errors.ts': `import { test } from 'vitest';\nexport type Failure = typeof test;\n` },
  ],
  [
    'resolvable',
    { 'packages/realtime/src/hub.ts': `import { gone } from './gone.ts';\nexport const hub = gone;\n` },
  ],
  [
    'no-built-in-behind-main-entries',
    {
      'packages/redis/src/redis-tier.ts': `import { Socket } from 'node:net';\nexport const redisTier = Socket;\n`,
    },
  ],
  [
    'no-built-in-behind-main-entries',
    {
      'packages/realtime/src/hub.ts': `import { digest } from '@cachekit/core/postgres';\nexport const hub = digest;\n`,
    },
  ],
  ['no-vague-name', { 'packages/core/src/utils.ts': 'export const a = 1;\n' }],
  ['no-vague-name', { 'packages/core/src/lib/hash.ts': 'export const a = 1;\n' }],
  ['no-vague-name', { 'packages/core/src/memory/types.ts': 'export const a = 1;\n' }],
  [
    'only-index-re-exports',
    {
      'packages/realtime/src/hub.ts': `export type { Tier } from '@cachekit/core';\nexport const hub = 1;\n`,
    },
  ],
  [
    'only-index-re-exports',
    {
      'packages/realtime/src/hub.ts': `import type { Tier } from '@cachekit/core';\nexport type { Tier };\nexport const hub = 1;\n`,
    },
  ],
  ['no-default-export', { 'packages/realtime/src/hub.ts': 'export const hub = 1;\nexport default hub;\n' }],
  [
    'no-default-export',
    { 'packages/realtime/src/hub.ts': 'export const hub = 1;\nexport default function open() {}\n' },
  ],
  ['no-any', { 'packages/realtime/src/hub.ts': 'export const hub = (value: any) => value;\n' }],
  ['time-through-clock', { 'packages/realtime/src/hub.ts': 'export const hub = () => Date.now();\n' }],
  ['time-through-clock', { 'packages/realtime/src/hub.ts': 'export const hub = () => new Date();\n' }],
  ['no-node-global', { 'packages/realtime/src/hub.ts': 'export const hub = () => process.env.TENANT;\n' }],
  ['no-node-global', { 'packages/realtime/src/hub.ts': `export const hub = () => Buffer.from('a');\n` }],
  [
    'time-through-clock',
    { 'packages/realtime/src/hub.ts': 'export const hub = () => setTimeout(() => {}, 5);\n' },
  ],
  [
    'randomness-through-argument',
    { 'packages/realtime/src/hub.ts': 'export const hub = () => Math.random();\n' },
  ],
  ['never-logs', { 'packages/realtime/src/hub.ts': `export const hub = () => console.warn('lost');\n` }],
];

test('a tree that keeps every rule passes, and all of it was read', async () => {
  const { violations, modules, imports } = await checkArchitecture(tree());
  expect(violations).toEqual([]);
  expect(modules).toBe(Object.keys(clean).filter((path) => path.endsWith('.ts')).length);
  expect(imports).toBeGreaterThan(15);
});

test.for(breaches)('%s is caught: %o', async ([rule, changes]) => {
  const { violations } = await checkArchitecture(tree(changes));
  const file = Object.keys(changes)[0] as string;
  const caught = violations.filter((violation) => violation.rule === rule);
  expect(caught, JSON.stringify(violations)).not.toEqual([]);
  // An entry is accused where a built-in is reachable from it; every other rule names the file that broke it.
  if (rule !== 'no-built-in-behind-main-entries') {
    expect(
      caught.some((violation) => violation.file.startsWith(file) || violation.message.includes(file)),
    ).toBe(true);
  }
});

test('every import rule has a breach that it catches', () => {
  const proven = new Set(breaches.map(([rule]) => rule));
  expect(importRules.map(({ name }) => name).filter((name) => !proven.has(name as string))).toEqual([]);
});

test('a tree without sources is an error, not a clean report', async () => {
  const root = mkdtempSync(join(tmpdir(), 'architecture-'));
  folders.push(root);
  mkdirSync(join(root, 'packages'));
  await expect(checkArchitecture(root)).rejects.toThrow('No source file');
});

test('modules that were not read are an error, not a clean report', () => {
  const fact = { file: 'packages/core/src/create-cache.ts', lines: 1, any: 0, as: 0, imports: 1 };
  const module = { source: fact.file, dependencies: [], dependents: [], valid: true };
  expect(() => assertSeen([fact], [])).toThrow('did not read 1 of 1');
  expect(() => assertSeen([fact], [module])).toThrow('did not read 1 of 1');
  expect(() => assertSeen([{ ...fact, imports: 0 }], [module])).not.toThrow();
});

test('the packages of this repository keep every rule', async () => {
  const { violations } = await checkArchitecture(fileURLToPath(new URL('../../../', import.meta.url)));
  expect(violations).toEqual([]);
});
