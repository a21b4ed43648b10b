import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { root } from '../build/packages.ts';

export type TypeFault = { line: number; message: string };

/**
 * Type-checks the modules in a folder as one program, under the settings of this repository.
 *
 * @throws Error if the compiler fails without naming one of them.
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
  const foreign: string[] = [];
  for (const line of stdout.split('\n')) {
    const match = /^(\S.*?)\((\d+),\d+\): error (TS\d+: .*)$/.exec(line);
    if (!match) continue;
    const [, file = '', at, message = ''] = match;
    if (file.includes('/')) foreign.push(line);
    else errors.set(basename(file), [...(errors.get(basename(file)) ?? []), { line: Number(at), message }]);
  }
  if (status !== 0 && errors.size === 0) throw new Error(`tsc failed\n${foreign.join('\n') || stdout}`);
  return errors;
}
