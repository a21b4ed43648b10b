import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

test.each([
  'bentocache',
  'cacheable',
  'cache-manager',
  'layered-loader',
  'rate-limiter-flexible',
  '@upstash/ratelimit',
  'rate-limit-redis',
  'express-rate-limit',
  'redlock',
  'redis-semaphore',
])('the comparison was read against the installed %s', (name) => {
  const { version } = JSON.parse(read(`bench/node_modules/${name}/package.json`)) as { version: string };
  const [major, minor] = version.replace(/^v/, '').split('.');
  expect(read('docs/comparison.md')).toContain(`${name} ${major}.${minor}`);
});
