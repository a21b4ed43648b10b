import type { RealtimeGap } from './realtime-event.ts';

/** What a frame says. */
export type Body = Readonly<Record<string, unknown>>;

/** The data of a frame; nothing if it is no object. */
export function parseBody(text: string): Body {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null ? (value as Body) : {};
}

const gapReasons: readonly string[] = ['epoch', 'position', 'trimmed', 'limit', 'source'];

/** Why there is a gap. */
export function reasonOf(data: unknown): RealtimeGap['reason'] {
  const reason = (data as { reason?: unknown } | undefined)?.reason;
  // A server that is newer than the client may have reasons of its own.
  return gapReasons.includes(reason as string) ? (reason as RealtimeGap['reason']) : 'source';
}

/** A number, if it is one. */
export function finite(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
