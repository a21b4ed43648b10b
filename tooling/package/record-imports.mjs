// Preloaded with --import: prints one line per module that the entry and everything behind it asks for.

import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    writeSync(1, `${JSON.stringify({ specifier, url: resolved.url })}\n`);
    return resolved;
  },
});
