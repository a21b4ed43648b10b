/**
 * A place in the event log of one tenant.
 *
 * The epoch is random and made with the log, so a position of another tenant, or of a log that was lost and began
 * anew, is recognised as foreign.
 */
export interface LogPosition {
  readonly epoch: string;
  /** Number of the last event before the place; 0 before the first. */
  readonly offset: number;
}

/** The position as it stands in `id:` and `Last-Event-ID`: `<epoch>.<offset>`. */
export function formatPosition(position: LogPosition): string {
  return `${position.epoch}.${position.offset}`;
}

/** The position that `text` says, or `undefined` if it says none; the text may come from anybody. */
export function parsePosition(text: string): LogPosition | undefined {
  const match = text.length <= 64 ? /^([0-9a-z]{1,32})\.(0|[1-9]\d{0,15})$/.exec(text) : null;
  if (!match) return undefined;
  const offset = Number(match[2]);
  return Number.isSafeInteger(offset) ? { epoch: match[1] as string, offset } : undefined;
}
