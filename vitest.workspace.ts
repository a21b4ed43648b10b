import { join } from 'node:path';
import { defaultClientConditions, defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';
import { ErrorsReporter } from './tooling/verify/errors-reporter.ts';

const source = '@cachekit/source';
const services = './tooling/services/vitest-setup.ts';
const properties = './tooling/properties/vitest-setup.ts';
/** What is waited for comes within milliseconds, or on a busy machine within seconds. */
const patient = { poll: { timeout: 20_000 } };

/** Set by `.ci/run` and `verify`, which count the tests of every run. */
const reports = process.env.CACHEKIT_REPORTS;

export default defineConfig({
  resolve: { conditions: [source, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  test: {
    silent: 'passed-only',
    // Tests with servers wait more than they compute, so more files at a time than the two cores of a small machine.
    maxWorkers: 5,
    reporters: reports
      ? [
          'default',
          ['json', { outputFile: join(reports, `vitest-${process.pid}.json`) }],
          new ErrorsReporter(reports),
        ]
      : ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/test/*.test.ts',
            'tooling/*/test/*.test.ts',
            'docs/test/*.test.ts',
            'bench/test/*.test.ts',
          ],
          setupFiles: properties,
          // A ceiling for a busy machine, not an expectation.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['packages/*/test/integration/**/*.test.ts', 'tooling/*/test/integration/*.test.ts'],
          globalSetup: services,
          setupFiles: properties,
          expect: patient,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'examples',
          include: ['examples/*/test/*.test.ts'],
          globalSetup: services,
          expect: patient,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'doctest',
          include: ['tooling/doctest/doctest.test.ts'],
          globalSetup: services,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['examples/*/test/browser/*.test.ts'],
          globalSetup: services,
          expect: patient,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'containers',
          include: ['tooling/*/test/containers/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
