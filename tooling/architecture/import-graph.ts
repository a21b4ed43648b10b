import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cruise, type ICruiseResult, type IModule } from 'dependency-cruiser';
import { importRules } from './import-rules.ts';
import type { Violation } from './violation.ts';

/** Entries that run on a server only; every other entry must load on an edge runtime and in a browser. */
const serverEntries = ['./postgres', './node', './testing'];

type Manifest = { exports?: Record<string, string | { '@cachekit/source'?: string }> };

/** The folders under `packages/` that have a `src`. */
export function packagesOf(root: string): string[] {
  return readdirSync(join(root, 'packages')).filter((name) =>
    existsSync(join(root, 'packages', name, 'src')),
  );
}

/** Reads every module of every package and returns what the import rules forbid. */
export async function checkImports(root: string): Promise<{ violations: Violation[]; modules: IModule[] }> {
  const packages = packagesOf(root);
  const { output } = await cruise(
    packages.map((name) => `packages/${name}/src`),
    {
      baseDir: root,
      tsPreCompilationDeps: true,
      doNotFollow: { path: 'node_modules' },
      validate: true,
      ruleSet: { forbidden: importRules },
      enhancedResolveOptions: {
        exportsFields: ['exports'],
        conditionNames: ['@cachekit/source', 'types', 'import', 'node', 'default'],
        extensions: ['.ts', '.tsx', '.js', '.mjs', '.d.ts'],
      },
    },
  );
  const { modules, summary } = output as ICruiseResult;
  const violations = summary.violations.map(
    ({ rule, from, to, cycle }): Violation => ({
      rule: rule.name,
      file: from,
      message: cycle
        ? `imports itself by way of ${cycle.map(({ name }) => name).join(' -> ')}`
        : `imports ${to}`,
    }),
  );
  for (const name of packages) violations.push(...builtInsBehindEntries(root, name, modules));
  return { violations, modules };
}

function builtInsBehindEntries(root: string, name: string, modules: IModule[]): Violation[] {
  const bySource = new Map(modules.map((module) => [module.source, module]));
  const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as Manifest;
  const violations: Violation[] = [];
  for (const [entry, target] of Object.entries(manifest.exports ?? {})) {
    const file = typeof target === 'string' ? undefined : target['@cachekit/source'];
    if (!file || serverEntries.includes(entry)) continue;
    const start = join('packages', name, file);
    const ways = new Map([[start, [start]]]);
    for (const [source, way] of ways) {
      for (const dependency of bySource.get(source)?.dependencies ?? []) {
        if (dependency.dependencyTypes.includes('type-only')) continue;
        const onward = [...way, dependency.resolved];
        if (dependency.coreModule) {
          violations.push({
            rule: 'no-built-in-behind-main-entries',
            file: start,
            message: `reaches ${onward.join(' -> ')}`,
          });
        } else if (!ways.has(dependency.resolved)) {
          ways.set(dependency.resolved, onward);
        }
      }
    }
  }
  return violations;
}
