import type { Comparison } from './measure.ts';

/** One figure of a bench, as `--json` prints it. */
export interface Figure {
  /** What is measured, and in which unit. */
  readonly name: string;
  readonly ours: number;
  /** `null` if there is none, or none that is installed. */
  readonly peer: number | null;
  /** Ours to the peer's, round by round. */
  readonly ratio: number | null;
  /** Bound of the ratio, or of ours where there is no peer by nature. */
  readonly target: number;
  /** Whether the target is met; `null` if the peer is missing, so that nothing can be said. */
  readonly ok: boolean | null;
}

/** Where the target lies. */
export interface Target {
  /** What is bounded. */
  readonly of: 'ratio' | 'ours';
  readonly atMost?: number;
  readonly atLeast?: number;
}

/**
 * Makes a figure.
 *
 * @param measured - A comparison, or what ours used alone.
 */
export function figure(
  name: string,
  measured: Comparison | { readonly ours: number },
  target: Target,
): Figure {
  const peer = 'peer' in measured ? measured.peer : null;
  const ratio = 'peer' in measured ? measured.ratio : null;
  const { atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = target;
  if (Number.isFinite(atMost) === Number.isFinite(atLeast))
    throw new Error(`${name}: give atMost or atLeast`);
  const bounded = target.of === 'ratio' ? ratio : measured.ours;
  return {
    name,
    ours: rounded(measured.ours),
    peer: peer === null ? null : rounded(peer),
    ratio: ratio === null ? null : rounded(ratio),
    target: target.atMost ?? atLeast,
    ok: bounded === null ? null : bounded <= atMost && bounded >= atLeast,
  };
}

/** Three significant digits: more would pretend. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
