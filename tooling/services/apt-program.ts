import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { aptUnpack } from './apt-download.ts';
import { isExecutable } from './find-executable.ts';
import { LinkUnavailable } from './link.ts';

/**
 * Leaves in `folder` only a program of Debian packages, as `folder/<name>`, and in `folder/lib` the libraries that the machine lacks.
 *
 * @param paths - Where it is in the packages; the first that can be run is taken.
 * @throws LinkUnavailable when there is no apt, the packages cannot be had or hold no such program.
 */
export async function aptProgram(
  folder: string,
  packages: readonly string[],
  name: string,
  paths: readonly string[],
): Promise<void> {
  const root = await aptUnpack(folder, packages);
  const program = paths.map((path) => join(root, path)).find(isExecutable);
  if (program === undefined) throw new LinkUnavailable(`the package holds no ${name}`);
  await cp(program, join(folder, name), { dereference: true });
  await mkdir(join(folder, 'lib'));
  for (const entry of await readdir(join(root, 'usr/lib'), { recursive: true })) {
    const file = entry.split('/').at(-1) as string;
    if (!/\.so(\.\d+)*$/.test(file)) continue;
    await cp(join(root, 'usr/lib', entry), join(folder, 'lib', file), { dereference: true }).catch(() => {});
  }
  for (const rest of ['root', 'apt-lists', 'apt-cache']) {
    await rm(join(folder, rest), { recursive: true, force: true });
  }
}
