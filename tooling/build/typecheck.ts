import { packages, root } from './packages.ts';
import { run } from './run.ts';

// The whole repository as one program, then each package alone: only there must every export say its own type.
const projects = [root, ...packages.map(({ folder }) => folder)];
for (const project of projects) {
  const { code } = await run(`${root}node_modules/.bin/tsc`, ['-p', project], { cwd: root, show: true });
  if (code !== 0) process.exitCode = 1;
}
