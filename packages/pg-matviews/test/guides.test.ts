import { globSync, readFileSync } from 'node:fs';
import { defects } from '@cachekit/pg-matviews';
import { expect, test } from 'vitest';
import { commands } from '../src/cli/command-line.ts';
import { help } from '../src/cli/help.ts';
import { finding } from '../src/doctor/finding.ts';

const root = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

test('the guide explains every defect with its level, and no other', () => {
  const sections = [...read('docs/doctor.md').matchAll(/^### (\S+) \{#(\S+)\}\n\n\*(failure|warning)\*/gm)];
  const explained = sections.map(([, title, anchor, level]) => [title, anchor, level]);
  const known = defects.map((defect) => [defect, defect, finding(defect, '', '', []).level]);
  expect(explained.sort()).toEqual(known.sort());
});

test('every defect is in the name of a test that makes it, finds it and mends it', () => {
  const names = globSync('packages/pg-matviews/test/integration/doctor/*.test.ts', { cwd: root })
    .flatMap((path) => read(path).match(/^\s*(?:test|\]\)|.*\.each).*$/gm) ?? [])
    .join('\n');
  const mends = globSync('packages/pg-matviews/test/integration/doctor/*.test.ts', { cwd: root })
    .map(read)
    .join('\n');
  for (const defect of defects) {
    expect(names, defect).toContain(defect);
    expect(mends, defect).toContain(`'${defect}'`);
  }
});

test('the page of the command line and --help name the same commands and options', () => {
  const page = read('docs/cli.md');
  const optionsIn = (text: string) => new Set(text.match(/--[a-z]+/g));
  const commandsOfPage = [...page.matchAll(/^\| `([a-z]+)/gm)].map(([, name]) => name);
  expect(new Set(commandsOfPage)).toEqual(new Set(commands));
  for (const command of commands) expect(help).toContain(`cachekit-views ${command} `);
  expect(optionsIn(`${page} --help`)).toEqual(optionsIn(`${help}`));
});
