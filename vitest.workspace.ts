import { defaultClientConditions, defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

const source = '@cachekit/source';
const services = './tooling/services/vitest-setup.ts';

export default defineConfig({
  resolve: { conditions: [source, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/test/*.test.ts', 'tooling/*/test/*.test.ts'],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['packages/*/test/integration/**/*.test.ts', 'tooling/*/test/integration/*.test.ts'],
          globalSetup: services,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'examples',
          include: ['examples/*/test/*.test.ts'],
          globalSetup: services,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
