import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

type Manifest = {
  exports: Record<string, string | { '@cachekit/source'?: string }>;
  bin?: Record<string, string>;
};

/** The build of one package: an entry per export and program of its manifest, ESM and CommonJS, chunks shared in both. */
export function packageBuild(): ReturnType<typeof defineConfig> {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
  const entry: Record<string, string> = {};
  for (const target of Object.values(manifest.exports)) {
    const source = typeof target === 'string' ? undefined : target['@cachekit/source'];
    if (source) entry[source.replace(/^\.\/src\/|\.ts$/g, '')] = source;
  }
  for (const program of Object.values(manifest.bin ?? {})) {
    const name = program.replace(/^\.\/dist\/|\.js$/g, '');
    entry[name] = `./src/${name}.ts`;
  }
  return defineConfig({
    entry,
    format: ['esm', 'cjs'],
    target: 'node22',
    dts: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
    // Explicit because CommonJS is not split by default: without it each entry would get its own copy of a class.
    splitting: true,
    // An edge runtime knows built-ins by their full names only.
    removeNodeProtocol: false,
  });
}
