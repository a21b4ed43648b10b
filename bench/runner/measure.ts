import type { Contender } from './contender.ts';
import { median } from './median.ts';
import { shuffle } from './shuffle.ts';

/** What was seen of one contender: one value per round, in the order of the rounds, per operation. */
export interface Samples {
  /** Time on the wall, microseconds. */
  readonly timeUs: number[];
  /** CPU of this process, microseconds. */
  readonly cpuUs: number[];
  /** CPU of the server, microseconds; empty if nobody was asked. */
  readonly serverCpuUs: number[];
}

/** What {@link measure} takes. */
export interface MeasureOptions {
  readonly contenders: readonly Contender[];
  /** Every contender runs once per round. */
  readonly rounds?: number;
  /** How long one contender runs in one round, about. */
  readonly sliceMs?: number;
  /** Between 0 and 1; decides the order within a round. */
  readonly random?: () => number;
  /** CPU that the server has used since it started, microseconds. */
  readonly serverCpuUs?: () => Promise<number>;
}

/**
 * Operations before each slice that are not measured: while the others had their turns, V8 dropped compiled code that nobody
 * ran, which a server that is busy never lacks. What contenders have in common stays, so the one that shares least would pay most.
 */
const enoughToCompile = 2_000;

/**
 * Runs the contenders in turns, each round in another order, so that whatever else the machine does meets all alike.
 *
 * Each is warmed up first, and the warm-up decides how many operations its slices have. Garbage is collected before
 * each slice, if Node was started with `--expose-gc`, and what runs then is compiled again before it is measured.
 */
export async function measure(options: MeasureOptions): Promise<ReadonlyMap<string, Samples>> {
  const { contenders, rounds = 15, sliceMs = 60, random = Math.random, serverCpuUs } = options;
  const operations = new Map<Contender, number>();
  const samples = new Map<string, Samples>();
  for (const contender of contenders) {
    operations.set(contender, await warmUp(contender, sliceMs));
    samples.set(contender.name, { timeUs: [], cpuUs: [], serverCpuUs: [] });
  }
  if (samples.size < contenders.length) throw new Error('Two contenders have the same name');
  for (let round = 0; round < rounds; round++) {
    for (const contender of shuffle(contenders, random)) {
      const count = operations.get(contender) as number;
      const sample = samples.get(contender.name) as Samples;
      globalThis.gc?.();
      await contender.run(Math.min(3 * count, Math.max(count / 5, enoughToCompile) | 0));
      const serverBefore = await serverCpuUs?.();
      const cpuBefore = process.cpuUsage();
      const began = performance.now();
      await contender.run(count);
      const timeMs = performance.now() - began;
      const cpu = process.cpuUsage(cpuBefore);
      const serverAfter = await serverCpuUs?.();
      sample.timeUs.push((timeMs * 1_000) / count);
      sample.cpuUs.push((cpu.user + cpu.system) / count);
      if (serverBefore !== undefined && serverAfter !== undefined) {
        sample.serverCpuUs.push((serverAfter - serverBefore) / count);
      }
    }
  }
  return samples;
}

/** Runs for at least eight slices, so that what is hot has been compiled; the last of them says how fast it is. */
async function warmUp(contender: Contender, sliceMs: number): Promise<number> {
  let operations = 8;
  for (let spentMs = 0; ; ) {
    const began = performance.now();
    await contender.run(operations);
    const tookMs = performance.now() - began;
    spentMs += tookMs;
    const enough = Math.max(1, Math.round((operations * sliceMs) / Math.max(tookMs, 0.001)));
    if (tookMs >= sliceMs / 2 && spentMs >= 8 * sliceMs) return enough;
    operations = tookMs >= sliceMs / 2 ? enough : operations * (tookMs < sliceMs / 16 ? 8 : 2);
  }
}

/** Two contenders side by side. */
export interface Comparison {
  /** Medians over the rounds. */
  readonly ours: number;
  readonly peer: number;
  /** Median of the ratios of each round, ours to the peer's; so a slow moment of the machine meets both. */
  readonly ratio: number;
}

/** Compares what two contenders used, from the samples of the same run. */
export function compare(ours: readonly number[], peer: readonly number[]): Comparison {
  if (ours.length !== peer.length) throw new Error('Samples of different runs cannot be compared');
  return {
    ours: median(ours),
    peer: median(peer),
    ratio: median(ours.map((value, round) => value / (peer[round] as number))),
  };
}
