import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    name: 'containers',
    root: import.meta.dirname,
    include: ['containers.test.ts'],
    // Images may have to be pulled first.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
