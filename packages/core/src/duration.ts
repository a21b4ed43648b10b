import { ConfigurationError } from './errors.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds, or a number with a unit. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/**
 * Milliseconds of a duration.
 *
 * @param name - What the duration is for, named in the error.
 * @throws ConfigurationError `INVALID_CONFIGURATION` if it is negative, not finite, above `Number.MAX_SAFE_INTEGER`, or has
 * no known unit.
 * @example
 * durationMs('5m', 'ttl'); // 300_000
 */
export function durationMs(duration: Duration, name: string): number {
  const ms = typeof duration === 'number' ? duration : parse(duration);
  if (ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) return ms;
  throw new ConfigurationError(
    `${name}: ${typeof duration === 'string' ? JSON.stringify(duration) : String(duration)} is no duration; give milliseconds >= 0 or a number with ${Object.keys(unitMs).join(', ')}, such as "30s"`,
  );
}

function parse(text: unknown): number {
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) : null;
  return match ? Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN) : Number.NaN;
}
