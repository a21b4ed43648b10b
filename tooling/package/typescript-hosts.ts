import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../build/packages.ts';
import { run } from '../build/run.ts';

type Host = { name: string; file: string; options: Record<string, string> };

const hosts: Host[] = [
  { name: 'nodenext, ESM', file: 'host.mts', options: { module: 'nodenext' } },
  { name: 'nodenext, CommonJS', file: 'host.cts', options: { module: 'nodenext' } },
  { name: 'bundler', file: 'host.ts', options: { module: 'preserve', moduleResolution: 'bundler' } },
];

const compilers = {
  'TypeScript 7': `${root}node_modules/typescript-7/bin/tsc`,
  'TypeScript 6': `${root}node_modules/typescript/bin/tsc`,
};

/** One way in which a user's strict compiler reads all entries; the declarations themselves are checked as well. */
export type TypeCheck = { name: string; check(): Promise<void> };

/** Writes the hosts into a folder where the packages are installed. */
export function typeChecks(folder: string, entries: readonly string[]): TypeCheck[] {
  return hosts.flatMap(({ name, file, options }) => {
    const host = join(folder, name.replaceAll(/\W+/g, '-'));
    mkdirSync(host);
    writeFileSync(join(host, file), program(file, entries));
    const compilerOptions = {
      ...options,
      target: 'es2022',
      lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      types: [],
    };
    writeFileSync(join(host, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
    return Object.entries(compilers).map(([compiler, tsc]) => ({
      name: `${name}, ${compiler}`,
      async check() {
        const { code, output } = await run(process.execPath, [tsc, '-p', host], { cwd: host });
        if (code !== 0) throw new Error(output);
      },
    }));
  });
}

/** A module that names every entry, so that the compiler must resolve it and read what it exports. */
function program(file: string, entries: readonly string[]): string {
  const importLine = (entry: string, at: number) =>
    file.endsWith('.cts')
      ? `import entry${at} = require('${entry}');`
      : `import * as entry${at} from '${entry}';`;
  const names = entries.map((_, at) => `typeof entry${at}`).join(', ');
  const check = `type Whole<T> = 0 extends 1 & T ? never : keyof T;\nexport type Names = Whole<[${names}][number]>;\n`;
  return `${entries.map(importLine).join('\n')}\n${check}`;
}
