import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type ExportTarget = { types: string; default: string };
export type ExportConditions = { '@cachekit/source'?: string; import: ExportTarget; require: ExportTarget };

/** A package as its own manifest describes it. */
export type Package = {
  name: string;
  folder: string;
  exports: Record<string, string | ExportConditions>;
};

/** Absolute path of the repository, with a slash at the end. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url));

/** The packages that are published, in the order of their folders. */
export const packages: readonly Package[] = readdirSync(`${root}packages`)
  .sort()
  .map((name) => {
    const folder = `${root}packages/${name}`;
    const manifest = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Omit<Package, 'folder'>;
    return { name: manifest.name, folder, exports: manifest.exports };
  });

/** The entries of a package that are code: `.`, `./http` and so on, without `./package.json`. */
export function entriesOf({ exports }: Package): [entry: string, target: ExportConditions][] {
  return Object.entries(exports).filter(
    (entry): entry is [string, ExportConditions] => typeof entry[1] !== 'string',
  );
}
