import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { entriesOf, packages, root } from '../build/packages.ts';
import { run } from '../build/run.ts';
import { report } from '../verify/reports.mjs';
import { type Format, forbiddenModules, loadedModules } from './loaded-modules.ts';
import { packAll } from './pack.ts';
import { assertLoadsConfiguration, assertRuns, programsOf } from './programs.ts';
import { manifestFaults } from './published-manifest.ts';
import { assertSameExports } from './same-exports.ts';
import { typeChecks } from './typescript-hosts.ts';

/** Entries that need Node; every other entry must load without a built-in of it. */
const nodeEntries = ['./postgres', './node', './testing'];
/** Suites that run inside vitest, which refuses to be loaded by CommonJS. */
const testingEntry = './testing';

const attw = fileURLToPath(new URL('node_modules/.bin/attw', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'cachekit-package-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

let passed = 0;
let failed = 0;

async function check(name: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`FAILED ${name}\n${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function assertNone(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

// Set by verify, where the build is a part of its own.
if (!process.env.CACHEKIT_BUILT) {
  const built = await run(process.execPath, [fileURLToPath(new URL('../build/build.ts', import.meta.url))]);
  if (built.code !== 0) throw new Error(built.output);
}

const tarballs = await packAll(work);
if (tarballs.length !== packages.length)
  throw new Error(`packed ${tarballs.length} of ${packages.length} packages`);

for (const tarball of tarballs) {
  await check(`publint ${basename(tarball)}`, async () => {
    const { messages, pkg } = await publint({
      pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer },
      strict: true,
    });
    assertNone(messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code));
  });
  await check(`attw ${basename(tarball)}`, async () => {
    // Subpath exports do not exist for the resolution of Node 10, which is why it is left out.
    const { code, output } = await run(attw, [tarball, '--profile', 'node16', '--no-color', '--no-emoji']);
    if (code !== 0) throw new Error(output);
  });
}

const host = join(work, 'host');
mkdirSync(host);
writeFileSync(join(host, 'package.json'), JSON.stringify({ name: 'host', private: true }));
const installed = await run('npm', ['install', '--no-audit', '--no-fund', ...tarballs], { cwd: host });
if (installed.code !== 0) throw new Error(installed.output);
symlinkSync(`${root}node_modules/vitest`, join(host, 'node_modules/vitest'));

for (const { name } of packages) {
  await check(`manifest of ${name}`, async () => {
    const folder = join(host, 'node_modules', name);
    const files = new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }));
    assertNone(manifestFaults(readFileSync(join(folder, 'package.json'), 'utf8'), files));
  });
}

for (const { name } of packages) {
  for (const program of programsOf(join(host, 'node_modules', name))) {
    await check(`${program} --help`, async () => {
      const help = await assertRuns(host, program, ['--help']);
      // npm may warn before.
      if (!help.includes(`${program}: `)) throw new Error(help);
    });
    await check(`${program} with a configuration`, () => assertLoadsConfiguration(host, program));
  }
}

const specifiers: string[] = [];
for (const published of packages) {
  for (const [entry] of entriesOf(published)) {
    const specifier = join(published.name, entry);
    specifiers.push(specifier);
    const forTests = entry === testingEntry;
    const formats: Format[] = forTests ? ['import'] : ['import', 'require'];
    for (const format of formats) {
      await check(`${format} of ${specifier}`, async () => {
        const allowed = { node: nodeEntries.includes(entry), vitest: forTests };
        const forbidden = forbiddenModules(await loadedModules(host, specifier, format), allowed);
        assertNone(forbidden.map((module) => `loads ${module}`));
      });
    }
    if (forTests) continue;
    await check(`exports of ${specifier}`, () => assertSameExports(host, specifier));
  }
}

for (const { name, check: compile } of typeChecks(host, specifiers)) await check(name, compile);

console.log(
  `${tarballs.length} packages, ${specifiers.length} entries: ${passed} checks passed, ${failed} failed`,
);
report('test:package', passed, failed);
process.exitCode = failed === 0 ? 0 : 1;
