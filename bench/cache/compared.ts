import { type Figure, figure } from '../runner/figure.ts';
import { compare, type Samples } from '../runner/measure.ts';

/** CPU of ours to that of a peer, from one run. */
export function cpu(
  name: string,
  samples: ReadonlyMap<string, Samples>,
  peer: string,
  atMost: number,
): Figure {
  return figure(name, compare(of(samples, 'ours').cpuUs, of(samples, peer).cpuUs), { of: 'ratio', atMost });
}

/** Time of ours to that of a peer, from one run. */
export function wall(
  name: string,
  samples: ReadonlyMap<string, Samples>,
  peer: string,
  atMost: number,
): Figure {
  return figure(name, compare(of(samples, 'ours').timeUs, of(samples, peer).timeUs), { of: 'ratio', atMost });
}

function of(samples: ReadonlyMap<string, Samples>, name: string): Samples {
  const found = samples.get(name);
  if (found === undefined) throw new Error(`Nothing was measured of ${name}`);
  return found;
}
