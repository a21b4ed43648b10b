import { expect } from 'vitest';
import type { Race } from './race.ts';

/** The end of a process. */
export const ending: readonly Race[] = [
  {
    id: 'R27',
    title: 'close() leaves nothing that keeps the process alive',
    needs: 'memory',
    async run(ground) {
      const { cache, link } = await ground.start();
      await cache.getOrLoad(ground.item('a'), async () => 1);
      const waiting = cache.getOrLoad(
        ground.item('b'),
        ({ signal }) => {
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        },
        { timeout: { hard: '300ms' } },
      );
      const failed = expect(waiting).rejects.toMatchObject({ code: 'LOAD_TIMEOUT' });
      await cache.close();
      await failed;
      await ground.close();
      await ground.wait(() => expect(link.connections()).toBe(0));
    },
  },
];
