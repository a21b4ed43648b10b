import { assertKnownOptions, ConfigurationError, type Duration, durationMs } from '@cachekit/core';
import type { Algorithm, Rule } from './algorithms/algorithm.ts';

/** A limit and how it is counted; made by `gcra()` or `fixedWindow()`. */
export interface Policy extends Rule {
  readonly algorithm: Algorithm;
}

/** What every policy takes. */
export interface PolicyOptions {
  /** Tokens per window, and the most that can pass at once; an integer from 1. */
  limit: number;
  /** Milliseconds or `"1m"`; whole milliseconds, from 1 ms to 366 days. */
  window: Duration;
}

const maxWindowMs = 366 * 86_400_000;
// Debt and cost together stay below 2^53, and a division of them never rounds to a neighbouring integer.
const maxProduct = 2 ** 51;

/** Checks what every policy takes; `maker` names the factory in errors. */
export function policyOf(maker: string, algorithm: Algorithm, options: PolicyOptions): Policy {
  assertKnownOptions(maker, options, ['limit', 'window']);
  const { limit } = options;
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new ConfigurationError(`${maker}: limit: ${describe(limit)} is none; give an integer from 1`);
  }
  const windowMs = durationMs(options.window, `${maker}: window`);
  if (!Number.isInteger(windowMs) || windowMs < 1 || windowMs > maxWindowMs) {
    throw new ConfigurationError(
      `${maker}: window: ${describe(options.window)} is none; give whole milliseconds, from 1 ms to 366 days`,
    );
  }
  if (limit * windowMs > maxProduct) {
    throw new ConfigurationError(
      `${maker}: limit: ${limit} is too much for ${describe(options.window)}; at most ${Math.floor(maxProduct / windowMs)}, or take a shorter window`,
    );
  }
  return Object.freeze({ algorithm, limit, windowMs });
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
