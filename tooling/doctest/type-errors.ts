import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '../build/packages.ts';

export type TypeFault = { line: number; message: string };

/**
 * Type-checks the modules in a folder as one program, under the settings of this repository.
 *
 * @throws Error if the compiler fails without saying what is wrong.
 */
export function typeErrors(folder: string): Map<string, TypeFault[]> {
  const tsconfig = {
    extends: relative(folder, join(root, 'tsconfig.json')),
    include: [],
    exclude: [],
    files: readdirSync(folder).filter((name) => /\.tsx?$/.test(name)),
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  const tsc = `${root}node_modules/typescript-7/bin/tsc`;
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const errors = new Map<string, TypeFault[]>();
  let diagnostics = 0;
  for (const line of stdout.split('\n')) {
    const match = /^(\S.*?)\((\d+),\d+\): error (TS\d+: .*)$/.exec(line);
    if (!match) continue;
    diagnostics += 1;
    const [, file = '', at, message = ''] = match;
    // What lies elsewhere is a fault of a source file, which the type check of the repository reports.
    if (file.includes('/')) continue;
    errors.set(file, [...(errors.get(file) ?? []), { line: Number(at), message }]);
  }
  if (status !== 0 && diagnostics === 0) throw new Error(`tsc failed\n${stdout}`);
  return errors;
}
