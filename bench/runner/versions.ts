const versions = new Map<string, string>([['Node', process.versions.node]]);

/** Notes the version of something that is measured, for results that are kept. */
export function noteVersion(name: string, version: string): void {
  versions.set(name, version);
}

/** What was noted, and the version of Node. */
export function notedVersions(): Record<string, string> {
  return Object.fromEntries(versions);
}
