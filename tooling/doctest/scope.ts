import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entriesOf, type Package, packages, root } from '../build/packages.ts';
import { exportedNames, type Origin } from './names.ts';

const preludes = fileURLToPath(new URL('./prelude', import.meta.url));

/**
 * What an example of a docstring may name without importing it, later ones hiding earlier ones: what any package
 * exports, the preludes, what its own file exports, what its own package exports.
 *
 * @param file - Of the docstring, from the root of the repository.
 * @param folder - Where the program will stand.
 */
export function scopeOf(file: string, folder: string): Map<string, Origin> {
  const scope = new Map<string, Origin>();
  const own = packages.find((each) => join(root, file).startsWith(`${each.folder}/`));
  for (const each of packages) addEntries(each);
  addFile(join(preludes, 'common.ts'));
  if (own) addFile(join(preludes, `${own.name.replace('@cachekit/', '')}.ts`));
  addFile(join(root, file));
  if (own) addEntries(own);
  return scope;

  function add(module: string, source: string): void {
    for (const [name, typeOnly] of exportedNames(readFileSync(source, 'utf8')))
      scope.set(name, { module, typeOnly });
  }

  function addFile(path: string): void {
    if (existsSync(path)) add(relative(folder, path), path);
  }

  function addEntries(each: Package): void {
    for (const [entry, target] of entriesOf(each)) {
      const source = target['@cachekit/source'];
      if (source) add(join(each.name, entry), join(each.folder, source));
    }
  }
}
