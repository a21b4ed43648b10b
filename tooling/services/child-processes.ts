import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { run } from './run.ts';

/** The ids of the processes that `parent` started and that are still there. */
export async function childrenOf(parent: number): Promise<readonly number[]> {
  const pairs = existsSync('/proc/self/stat') ? await pairsOfProc() : await pairsOfPs();
  return pairs.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []));
}

/** Linux: from `/proc`, because small containers have no ps. */
async function pairsOfProc(): Promise<number[][]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      // The name in parentheses may hold anything; behind it come the state and the parent.
      return [Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])];
    }),
  );
}

async function pairsOfPs(): Promise<number[][]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout.split('\n').map((row) => row.trim().split(/\s+/).map(Number));
}
