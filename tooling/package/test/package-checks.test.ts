import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forbiddenModules, loadedModules } from '../loaded-modules.ts';
import { manifestFaults } from '../published-manifest.ts';
import { assertSameExports } from '../same-exports.ts';
import { typeChecks } from '../typescript-hosts.ts';

let host: string;
beforeAll(() => {
  host = mkdtempSync(join(tmpdir(), 'host-'));
});
afterAll(() => rmSync(host, { recursive: true, force: true }));

function install(name: string, files: Record<string, string>): void {
  const folder = join(host, 'node_modules', name);
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
}

const dual = JSON.stringify({
  exports: {
    import: { types: './index.d.ts', default: './index.mjs' },
    require: { types: './index.d.cts', default: './index.cjs' },
  },
});

describe('the manifest of a tarball', () => {
  const files = new Set(['package.json', 'README.md', 'LICENSE', 'dist/index.js']);
  const whole = {
    description: 'A package',
    keywords: ['cache'],
    license: 'MIT',
    engines: { node: '>=22.12' },
    sideEffects: false,
    exports: { '.': './dist/index.js' },
  };
  const manifest = (more: object = {}) => JSON.stringify({ ...whole, ...more });

  test('passes when everything it exports is there', () => {
    expect(manifestFaults(manifest(), files)).toEqual([]);
  });

  test.each([
    ['a source condition', { exports: { '.': { '@cachekit/source': './dist/index.js' } } }],
    ['a workspace range', { dependencies: { '@cachekit/core': 'workspace:^' } }],
    ['a catalog range', { dependencies: { eventemitter3: 'catalog:' } }],
    ['an export without a file', { exports: { '.': './dist/gone.js' } }],
    ['a program without a file', { bin: { program: './dist/gone.js' } }],
    ['no keywords', { keywords: undefined }],
  ])('fails with %s', (_, more) => {
    expect(manifestFaults(manifest(more), files)).toHaveLength(1);
  });

  test('fails without README or licence, and with sources', () => {
    expect(manifestFaults(manifest(), new Set(['dist/index.js', 'src/index.ts']))).toHaveLength(3);
  });
});

describe('what an entry loads', () => {
  const edge = { node: false, vitest: false };

  test('is seen through every module behind it, in both formats', async () => {
    install('client', { 'package.json': '{}', 'index.js': '' });
    install('deep', {
      'package.json': dual,
      'index.mjs': `import './behind.mjs';`,
      'behind.mjs': `import 'node:net';\nawait import('client');`,
      'index.cjs': `require('./behind.cjs');`,
      'behind.cjs': `require('net');\nrequire('client');`,
    });
    for (const format of ['import', 'require'] as const) {
      const loaded = await loadedModules(host, 'deep', format);
      expect(forbiddenModules(loaded, edge)).toEqual([expect.stringMatching(/net$/), 'client']);
      expect(forbiddenModules(loaded, { node: true, vitest: false })).toEqual(['client']);
    }
  });

  test('may be eventemitter3 and other entries of CacheKit', async () => {
    install('eventemitter3', { 'package.json': '{}', 'index.js': `require('./inner.js')`, 'inner.js': '' });
    install('@cachekit/core', { 'package.json': '{}', 'index.js': `require('eventemitter3')` });
    install('ours', { 'package.json': '{}', 'index.js': `require('@cachekit/core')` });
    const loaded = await loadedModules(host, 'ours', 'require');
    expect(loaded).toHaveLength(3);
    expect(forbiddenModules(loaded, edge)).toEqual([]);
  });

  test('may be vitest where suites are, whatever that loads itself', async () => {
    install('vitest', { 'package.json': '{}', 'index.js': `require('client'); require('node:net');` });
    install('client', { 'package.json': '{}', 'index.js': '' });
    install('suites', { 'package.json': '{}', 'index.js': `require('vitest')` });
    const loaded = await loadedModules(host, 'suites', 'require');
    expect(forbiddenModules(loaded, { node: true, vitest: true })).toEqual([]);
    expect(forbiddenModules(loaded, edge)).toEqual(['vitest']);
  });

  test('is an error when the entry cannot be loaded at all', async () => {
    await expect(loadedModules(host, 'nobody', 'import')).rejects.toThrow('import of nobody failed');
  });
});

describe('the exports of an entry', () => {
  test('must be the same in both formats', async () => {
    install('same', {
      'package.json': dual,
      'index.mjs': 'export const a = 1;',
      'index.cjs': 'exports.a = 1;',
    });
    install('other', {
      'package.json': dual,
      'index.mjs': 'export const a = 1;',
      'index.cjs': 'exports.b = 1;',
    });
    await assertSameExports(host, 'same');
    await expect(assertSameExports(host, 'other')).rejects.toThrow('import gives a; require gives b');
  });

  test('must be something', async () => {
    install('empty', { 'package.json': dual, 'index.mjs': 'export {};', 'index.cjs': '' });
    await expect(assertSameExports(host, 'empty')).rejects.toThrow('exports nothing');
  });
});

test("a declaration that a strict compiler refuses fails every user's host", {
  timeout: 60_000,
}, async () => {
  install('typed', {
    'package.json': dual,
    'index.d.ts': 'export type A = B;',
    'index.d.cts': 'export type A = B;',
  });
  const checks = typeChecks(host, ['typed']);
  expect(checks).toHaveLength(6);
  const fast = checks.filter(({ name }) => name.includes('TypeScript 7'));
  for (const { check } of fast) await expect(check()).rejects.toThrow("Cannot find name 'B'");
});
