import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findOnPath } from './find-executable.ts';
import { LinkUnavailable } from './link.ts';
import { run } from './run.ts';

/**
 * Unpacks Debian packages, and what they need beyond the machine's own libraries, into `folder/root`.
 *
 * Nothing is installed and no root is needed: apt works on lists and a cache of its own, only downloads, and checks
 * its signatures as always.
 *
 * @throws LinkUnavailable when this is no Debian or Ubuntu, or the packages cannot be had.
 */
export async function aptUnpack(folder: string, packages: readonly string[]): Promise<string> {
  if (findOnPath('apt-get') === undefined || findOnPath('dpkg-deb') === undefined) {
    throw new LinkUnavailable('apt-get and dpkg-deb are not there: this way is for Debian and Ubuntu only');
  }
  const cache = join(folder, 'apt-cache');
  const lists = join(folder, 'apt-lists');
  const root = join(folder, 'root');
  await mkdir(join(cache, 'archives', 'partial'), { recursive: true });
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(root);
  const apart = options(`Dir::Cache=${cache}`, 'Debug::NoLocking=1', 'APT::Sandbox::User=');
  const download = ['-q', '-y', '--no-install-recommends', '--reinstall', '--download-only', 'install'];
  const timeout = 120_000;
  // The machine's own lists of packages save the larger part of the time, unless they are missing or too old.
  let got = await run('apt-get', [...apart, ...download, ...packages], { timeout });
  if (!got.ok) {
    const fresh = [...apart, ...options(`Dir::State::Lists=${lists}`, 'Acquire::Languages=none')];
    // One unreachable source of several is no obstacle, so only the download itself is judged.
    const updated = await run('apt-get', [...fresh, '-q', 'update'], { timeout });
    got = await run('apt-get', [...fresh, ...download, ...packages], { timeout });
    if (!got.ok) {
      const lines = `${updated.ok ? '' : updated.output}\n${got.output}`.trim().split('\n');
      throw new LinkUnavailable(`apt-get download of ${packages.join(', ')}: ${lines.slice(-4).join('\n')}`);
    }
  }
  const archives = join(cache, 'archives');
  for (const file of await readdir(archives)) {
    if (!file.endsWith('.deb')) continue;
    const unpacked = await run('dpkg-deb', ['-x', join(archives, file), root]);
    if (!unpacked.ok) throw new LinkUnavailable(`dpkg-deb -x ${file}: ${unpacked.output}`);
  }
  return root;
}

function options(...settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ['-o', setting]);
}
