import type { IRegularForbiddenRuleType } from 'dependency-cruiser';

const source = '^packages/[^/]+/src/';
const adapters = '/(tier|tiers|store|stores|executors|sources|sinks|memory|coherence)/';
const facade = `${source}(cache/cache|create-cache|pipeline/change-pipeline|limiter|create-rate-limiter|store-limiter|keys/key-space)\\.ts$`;

function forbid(
  name: string,
  comment: string,
  from: IRegularForbiddenRuleType['from'],
  to: IRegularForbiddenRuleType['to'],
): IRegularForbiddenRuleType {
  return { name, comment, severity: 'error', from, to };
}

/** What one module of a package's `src` may import of another: the first four rules of ARCHITECTURE.md. */
export const importRules: IRegularForbiddenRuleType[] = [
  forbid(
    'core-imports-nobody',
    'core is the centre of the star',
    { path: '^packages/core/src/' },
    { path: '^packages/(?!core/)' },
  ),
  forbid(
    'no-sibling',
    'what two packages share is a port in core',
    { path: '^packages/([^/]+)/src/' },
    { path: '^packages/', pathNot: '^packages/($1|core)/' },
  ),
  forbid(
    'no-way-around-entries',
    'another package is imported by its name, never by a path into it',
    { path: '^packages/([^/]+)/src/' },
    { path: '^packages/', pathNot: '^packages/$1/', dependencyTypes: ['local'] },
  ),
  forbid(
    'ports-import-only-ports-and-data',
    'a port is what everybody depends on, so it depends on nobody',
    { path: '/ports/' },
    {
      pathNot: [
        '/ports/',
        `${source}(errors|duration|entry|keys/wire-key)\\.ts$`,
        '^packages/core/src/index\\.ts$',
      ],
    },
  ),
  forbid(
    'adapters-import-ports',
    'an adapter knows its port, not who calls it',
    { path: adapters },
    { path: facade },
  ),
  forbid(
    'engine-is-inside',
    'only the facade and the conductors know the engine',
    { pathNot: [`${source}create-cache\\.ts$`, `${source}engine/`] },
    { path: `${source}engine/` },
  ),
  forbid(
    'steps-are-leaves',
    'a step imports neither another step nor a conductor: only the conductor knows the order',
    { path: '/steps/' },
    { path: ['/steps/', `${source}engine/(?!steps/)`] },
  ),
  forbid('no-cycle', 'two modules of one cycle are one module', { path: source }, { circular: true }),
  forbid(
    'no-foreign-code',
    'a client library is a structural type of ours and an argument of the user; core alone has a dependency',
    { path: source, pathNot: '^packages/redis/src/env/' },
    {
      pathNot: [source, 'node_modules/eventemitter3/', 'node_modules/vitest/'],
      dependencyTypesNot: ['core'],
    },
  ),
  forbid(
    'clients-by-environment',
    'the entry that chooses a client by the environment loads that client, when it is chosen, and nothing else',
    { path: '^packages/redis/src/env/' },
    {
      pathNot: [source, 'node_modules/(ioredis|@upstash/redis)/'],
      dependencyTypesNot: ['core'],
    },
  ),
  forbid(
    'eventemitter3-in-core-only',
    'the other packages have core as their one dependency',
    { path: source, pathNot: '^packages/core/' },
    { path: 'node_modules/eventemitter3/' },
  ),
  forbid(
    'vitest-in-testing-only',
    'only the suites that run inside a test know the test runner',
    { path: source, pathNot: `${source}testing/` },
    { path: 'node_modules/vitest/' },
  ),
  forbid(
    'resolvable',
    'an import that leads nowhere escapes every other rule',
    { path: source },
    { couldNotResolve: true },
  ),
];
