import { fileURLToPath } from 'node:url';
import { startRedis } from '@cachekit/services';
import { type Figure, figure } from '../runner/figure.ts';
import { quantile } from '../runner/quantile.ts';
import { startProcess } from '../runner/start-process.ts';
import type { StampedeResult, StampedeTask } from './stampede-process.ts';

const file = fileURLToPath(new URL('./stampede-process.ts', import.meta.url));
const callers = 1_000;
const loadMs = 200;

/** How often a missing key is loaded for a thousand callers in several processes, and how long the last ones wait. */
export async function stampede(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const processes of [1, 4, 16]) {
    const ours = await run('ours', processes);
    // As many processes as cores take turns anyway; one comparison says it.
    const peer = processes === 4 ? await run('bentocache', processes) : undefined;
    const loads = `loads for ${callers} callers at once in ${processes} processes`;
    const counted = { ours: ours.loads, ...(peer && { peer: peer.loads, ratio: ours.loads / peer.loads }) };
    figures.push(
      figure(peer ? `${loads}, to bentocache` : loads, counted, { of: 'ours', atMost: 1 }),
      figure(
        `wait of the last 1 % of ${callers} callers in ${processes} processes beyond the load, ms`,
        { ours: quantile(ours.waitsMs, 0.99) - loadMs },
        { of: 'ours', atMost: 20 },
      ),
    );
  }
  return figures;
}

async function run(who: StampedeTask['who'], processes: number): Promise<StampedeResult> {
  const server = await startRedis({ own: true });
  try {
    const children = Array.from({ length: processes }, () =>
      startProcess<StampedeTask, StampedeResult>(file, {
        redisUrl: server.url,
        who,
        callers: Math.floor(callers / processes),
        loadMs,
      }),
    );
    await Promise.all(children.map(({ ready }) => ready));
    const begin = Date.now() + 200;
    const results = await Promise.all(children.map((child) => child.run(begin)));
    return {
      loads: results.reduce((sum, { loads }) => sum + loads, 0),
      waitsMs: results.flatMap(({ waitsMs }) => waitsMs),
    };
  } finally {
    await server.stop();
  }
}
