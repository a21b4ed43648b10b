import { assertClaims } from './claims.ts';
import type { Example } from './example.ts';
import { type Origin, usedNames } from './names.ts';

/** An example made into a module: `offset` lines of ours stand above its first line. */
export type Program = { text: string; offset: number };

/**
 * Puts an example on its own feet: the names it uses without importing them come from `scope`. A name that is in no
 * scope stays undeclared, and the type check says so.
 */
export function programOf(example: Example, scope: ReadonlyMap<string, Origin>): Program {
  const used = usedNames(example.setup + example.code);
  const imports = [`import { expect } from 'vitest';`];
  for (const name of used) {
    const origin = scope.get(name);
    if (origin) imports.push(`import ${origin.typeOnly ? 'type ' : ''}{ ${name} } from '${origin.module}';`);
  }
  const setup = example.setup.trimEnd();
  const above = `${imports.join(' ')}\n${setup}${setup ? '\n' : ''}`;
  return { text: `${above}${assertClaims(example.code)}export {};\n`, offset: above.split('\n').length - 1 };
}
