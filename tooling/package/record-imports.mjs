// Preloaded with --import: prints one line per module that the code of CacheKit and of its own dependency asks for.
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    // Of what a test runner loads behind its own entry nobody is asked.
    if (!context.parentURL?.includes('/vitest/')) {
      writeSync(1, `${JSON.stringify({ specifier, url: resolved.url })}\n`);
    }
    return resolved;
  },
});
