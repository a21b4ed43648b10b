import { startRedis } from '@cachekit/services';
import { afterAll, beforeAll, describe } from 'vitest';
import { checks, rightsOf } from './checks.ts';
import { features } from './features.ts';

let server: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  server = await startRedis({ own: true });
});
afterAll(() => server.stop());

describe.each(Object.entries(features))('%s', (feature, use) => {
  checks(
    () => server.url,
    use,
    (client, user) => client.standalone(user.url),
    rightsOf(feature),
  );
});
