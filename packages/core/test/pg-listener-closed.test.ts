import { createListener, type PgListenClientLike } from '@cachekit/core/postgres';
import { expect, test } from 'vitest';

/** Confirms the first LISTEN, and leaves the others to the end of the connection. */
function clientThatFallsSilent(): PgListenClientLike {
  let statements = 0;
  let lost: ((error: Error) => void) | undefined;
  return {
    connect: async () => {},
    query: () =>
      ++statements === 1
        ? Promise.resolve()
        : new Promise((_, reject) => {
            lost = reject;
          }),
    end: async () => lost?.(new Error('Connection terminated')),
    on: () => {},
  };
}

test('who begins to listen is told that the listener was closed meanwhile', async () => {
  const listener = createListener({ connect: clientThatFallsSilent });
  await listener.listen('first', () => {});
  const second = listener.listen('second', () => {});
  await Promise.all([
    expect(second).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('was closed'),
    }),
    listener.close(),
  ]);
});
