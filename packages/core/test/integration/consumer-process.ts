/** Runs one consumer of the outbox in a process of its own, for tests that kill or freeze it. */
import { createListener, outboxSource, pgExecutor } from '@cachekit/core/postgres';
import pg from 'pg';

const [url = '', name = '', takeover = '1s', hangAt = '0'] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url });
const source = outboxSource({
  sql: pgExecutor(pool),
  listener: createListener({ connect: () => new pg.Client({ connectionString: url }) }),
  outbox: 'change',
  name,
  timing: { poll: 20, takeover: takeover as `${number}s` },
  batchSize: 5,
});
let delivered = 0;
await source.start({
  batch: async (changes) => {
    for (const change of changes) process.stdout.write(`${change.sequence}\n`);
    delivered += changes.length;
    // Hangs inside the batch, with the cursor held, and says so.
    if (Number(hangAt) > 0 && delivered >= Number(hangAt)) {
      process.stdout.write('hanging\n');
      await new Promise(() => {});
    }
  },
  gap: async () => {},
});
process.stdout.write('started\n');
