/** What is wrong with the package.json of a tarball; nothing if the list is empty. */
export function manifestFaults(text: string, files: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  for (const word of ['@cachekit/source', 'workspace:', 'catalog:']) {
    if (text.includes(word)) faults.push(`says "${word}", which means nothing outside of this repository`);
  }
  const manifest = JSON.parse(text) as {
    exports?: Record<string, unknown>;
    bin?: Record<string, string>;
  } & Record<string, unknown>;
  const { exports = {}, bin = {} } = manifest;
  for (const field of ['description', 'keywords', 'license', 'engines', 'sideEffects']) {
    if (manifest[field] === undefined) faults.push(`says no ${field}`);
  }
  for (const target of [...targetsOf(exports), ...targetsOf(bin)]) {
    if (!files.has(target.replace(/^\.\//, '')))
      faults.push(`exports ${target}, which is not in the tarball`);
  }
  for (const needed of ['README.md', 'LICENSE']) {
    if (!files.has(needed)) faults.push(`has no ${needed}`);
  }
  for (const file of files) {
    if (/^(src|test|test-d)\//.test(file)) faults.push(`holds ${file}, which is not for users`);
  }
  return faults;
}

function targetsOf(exports: unknown): string[] {
  if (typeof exports === 'string') return [exports];
  return Object.values(exports as Record<string, unknown>).flatMap(targetsOf);
}
