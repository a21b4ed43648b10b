import { fileURLToPath } from 'node:url';
import { checkArchitecture } from './architecture.ts';
import { meter } from './meter.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { violations, modules, imports, facts } = await checkArchitecture(root);

console.log(`${modules} modules, ${imports} imports read`);
console.log(
  `cycles ${violations.filter(({ rule }) => rule === 'no-cycle').length}, type-only imports included`,
);
for (const line of meter(facts)) console.log(line);
for (const { rule, file, message } of violations) console.error(`${rule}: ${file} ${message}`);
console.log(violations.length === 0 ? 'every rule holds' : `${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
