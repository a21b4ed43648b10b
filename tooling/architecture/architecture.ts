import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IModule } from 'dependency-cruiser';
import { checkImports, packagesOf } from './import-graph.ts';
import { checkSource, type SourceFacts } from './source-rules.ts';
import type { Violation } from './violation.ts';

/** What one look at a tree found. */
export type ArchitectureReport = {
  violations: Violation[];
  /** Modules of `packages/*\/src` that the import rules saw. */
  modules: number;
  /** Imports between them and out of them. */
  imports: number;
  facts: SourceFacts[];
};

/**
 * Checks every rule over `packages/*\/src` under `root`.
 *
 * @throws Error if there is nothing to read, or if the import rules saw less than lies on the disk: a tool that reads
 * nothing finds nothing.
 */
export async function checkArchitecture(root: string): Promise<ArchitectureReport> {
  const files = packagesOf(root).flatMap((name) => sourceFiles(root, join('packages', name, 'src')));
  if (files.length === 0) throw new Error(`No source file under ${root}/packages`);
  const { violations, modules } = await checkImports(root);
  const facts: SourceFacts[] = [];
  for (const file of files) {
    const checked = checkSource(file, readFileSync(join(root, file), 'utf8'));
    violations.push(...checked.violations);
    facts.push(checked.facts);
  }
  assertSeen(facts, modules);
  const imports = modules.reduce((sum, { dependencies }) => sum + dependencies.length, 0);
  return { violations, modules: files.length, imports, facts };
}

/** Compares what the import rules saw with an independent count, file by file. */
export function assertSeen(facts: readonly SourceFacts[], modules: readonly IModule[]): void {
  const dependencies = new Map(modules.map((module) => [module.source, module.dependencies.length]));
  const unseen = facts.filter(({ file, imports }) => {
    const seen = dependencies.get(file);
    return seen === undefined || (imports > 0 && seen === 0);
  });
  if (unseen.length > 0) {
    throw new Error(
      `The import rules did not read ${unseen.length} of ${facts.length} files, ${unseen[0]?.file} among them`,
    );
  }
}

function sourceFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(folder, name))
    .sort();
}
