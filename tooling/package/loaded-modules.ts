import { run } from '../build/run.ts';

export type Loaded = { specifier: string; url: string };
export type Format = 'import' | 'require';

const recorder = new URL('./record-imports.mjs', import.meta.url).href;

/** Loads an entry in a process of its own and returns every module that was asked for on the way. */
export async function loadedModules(host: string, entry: string, format: Format): Promise<Loaded[]> {
  const code = format === 'import' ? `await import('${entry}')` : `require('${entry}')`;
  const type = format === 'import' ? 'module' : 'commonjs';
  const args = ['--import', recorder, `--input-type=${type}`, '--eval', code];
  const { code: exit, output } = await run(process.execPath, args, { cwd: host });
  if (exit !== 0) throw new Error(`${format} of ${entry} failed:\n${output}`);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Loaded)
    .filter(({ specifier }) => specifier !== entry);
}

/** What an entry may load beside its own files. */
export type Allowed = { node: boolean; vitest: boolean };

/** What an entry loads though it must not: a client library, or a built-in of Node where it has to run without. */
export function forbiddenModules(loaded: readonly Loaded[], allowed: Allowed): string[] {
  return loaded
    .filter(({ specifier, url }) => {
      if (url.startsWith('node:')) return !allowed.node;
      if (specifier.startsWith('.')) return false;
      if (specifier === 'vitest') return !allowed.vitest;
      return (
        !/^(@cachekit\/|eventemitter3$)/.test(specifier) && !url.includes('/node_modules/eventemitter3/')
      );
    })
    .map(({ specifier }) => specifier);
}
