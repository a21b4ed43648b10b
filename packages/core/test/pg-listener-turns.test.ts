import { createListener, type PgListenClientLike } from '@cachekit/core/postgres';
import { expect, test } from 'vitest';

test('many who listen at once send one statement at a time, as pg wants it', async () => {
  const sent: string[] = [];
  let underWay = 0;
  const client: PgListenClientLike = {
    connect: async () => {},
    async query(sql) {
      underWay++;
      expect(underWay).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 1));
      underWay--;
      sent.push(sql);
    },
    end: async () => {},
    on: () => {},
  };
  const listener = createListener({ connect: () => client });
  await listener.listen('first', () => {});
  const stops = await Promise.all(['a', 'b', 'a'].map((channel) => listener.listen(channel, () => {})));
  await Promise.all([listener.listen('c', () => {}), ...stops.map((stop) => stop())]);
  expect(sent).toEqual([
    'listen "first"',
    'listen "a"',
    'listen "b"',
    'listen "a"',
    'listen "c"',
    'unlisten "b"',
    'unlisten "a"',
  ]);
  await listener.close();
});
