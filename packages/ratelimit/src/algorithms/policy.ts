import { assertKnownOptions, ConfigurationError, type Duration, durationMs } from '@cachekit/core';
import type { Algorithm, Rule } from './algorithm.ts';

/** A limit and how it is counted; made by `gcra()`, `fixedWindow()`, `slidingWindow()`, `quota()` or `concurrency()`. */
export interface Policy extends Rule {
  readonly algorithm: Algorithm;
  /** Whether it counts and tells, but denies nothing. */
  readonly shadow: boolean;
}

/** What every policy with a window takes. */
export interface PolicyOptions {
  /** Tokens per window, and the most that can pass at once; an integer from 1. */
  limit: number;
  /** Milliseconds or `"1m"`; whole milliseconds, from 1 ms to 366 days. */
  window: Duration;
  /**
   * Counts and tells, but denies nothing: to see whom a limit would meet before it does.
   * @defaultValue `false`
   */
  shadow?: boolean;
}

/** The longest window, and the longest block. */
export const maxWindowMs: number = 366 * 86_400_000;
// Debt and cost together stay below 2^53, and a division of them never rounds to a neighbouring integer.
const maxProduct = 2 ** 51;

/** Checks what every policy with a window takes; `maker` names the factory in errors. */
export function policyOf(maker: string, algorithm: Algorithm, options: PolicyOptions): Policy {
  assertKnownOptions(maker, options, ['limit', 'window', 'shadow']);
  return policyWith(
    maker,
    algorithm,
    options.limit,
    windowOf(maker, 'window', options.window),
    options.shadow,
  );
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` if the window is no whole time from 1 ms to 366 days. */
export function windowOf(maker: string, option: string, window: Duration): number {
  const windowMs = durationMs(window, `${maker}: ${option}`);
  if (!Number.isInteger(windowMs) || windowMs < 1 || windowMs > maxWindowMs) {
    throw new ConfigurationError(
      `${maker}: ${option}: ${describe(window)} is none; give whole milliseconds, from 1 ms to 366 days`,
    );
  }
  return windowMs;
}

/** @throws ConfigurationError `INVALID_CONFIGURATION` if the limit is no integer from 1, or too much for the window. */
export function policyWith(
  maker: string,
  algorithm: Algorithm,
  limit: number,
  windowMs: number,
  shadow: boolean | undefined,
): Policy {
  const refusal = limitRefusal(limit, windowMs);
  if (refusal !== undefined) throw new ConfigurationError(`${maker}: limit: ${refusal}`);
  if (shadow !== undefined && typeof shadow !== 'boolean') {
    throw new ConfigurationError(`${maker}: shadow: ${describe(shadow)} is none; give true or false`);
  }
  return Object.freeze({ algorithm, limit, windowMs, shadow: shadow ?? false });
}

/** Why a limit cannot be one, or nothing. */
export function limitRefusal(limit: unknown, windowMs: number): string | undefined {
  if (!Number.isSafeInteger(limit) || (limit as number) < 1) {
    return `${describe(limit)} is none; give an integer from 1`;
  }
  if ((limit as number) * windowMs <= maxProduct) return undefined;
  return `${limit} is too much for ${windowMs} ms; at most ${Math.floor(maxProduct / windowMs)}, or take a shorter window`;
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
