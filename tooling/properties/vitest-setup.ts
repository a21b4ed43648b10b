import fc from 'fast-check';

// A run of `npm test` says the same of the same tree. `npm run test:long` draws other cases each time, and prints the
// seed of one that fails.
if (!process.env.CACHEKIT_LONG) fc.configureGlobal({ seed: 1 });
