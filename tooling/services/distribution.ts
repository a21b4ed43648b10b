import { readFileSync } from 'node:fs';

/** "debian-12", so that a home folder shared by machines keeps one binary for each distribution. */
export function distribution(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    const value = (key: string): string =>
      new RegExp(`^${key}="?([\\w.-]+)`, 'm').exec(text)?.[1] ?? 'unknown';
    return `${value('ID')}-${value('VERSION_ID')}`;
  } catch {
    return 'unknown';
  }
}
