import { readFileSync } from 'node:fs';

/**
 * Microseconds that a process of this machine has been on a CPU; `undefined` where the system does not tell.
 *
 * @param pid - Such as that of a server's backend.
 */
export function cpuUsOf(pid: number): number | undefined {
  try {
    const [ns] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return Number(ns) / 1_000;
  } catch {
    return undefined;
  }
}
