import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../build/packages.ts';
import { examplesOfSource } from './docstrings.ts';
import type { Example } from './example.ts';
import { examplesOfMarkdown } from './markdown.ts';

const pages = ['README.md', 'packages/*/README.md', 'docs/*.md', 'docs/{guide,packages,adr}/*.md'];

/** Every example of the repository, pages first. */
export function allExamples(): { pages: Example[]; docstrings: Example[] } {
  const read = (file: string) => readFileSync(join(root, file), 'utf8');
  const sources = globSync('packages/*/src/**/*.{ts,tsx}', { cwd: root }).sort();
  return {
    pages: globSync(pages, { cwd: root })
      .filter((file) => existsSync(join(root, file)))
      .sort()
      .flatMap((file) => examplesOfMarkdown(file, read(file))),
    docstrings: sources.flatMap((file) => examplesOfSource(file, read(file))),
  };
}
