/** One event of a stream. */
export interface SseEvent {
  /** `message` if the stream names none. */
  readonly type: string;
  readonly data: string;
  /** The last id the stream gave, this event's or an earlier one's; empty if it gave none. */
  readonly id: string;
}

/** What a parser tells, in the order of the stream. */
export interface SseConsumer {
  event(event: SseEvent): void;
  /** The stream asks to wait this long before coming back. */
  retry(delayMs: number): void;
}

/** Characters a stream may take for one event before it is given up. */
export const maxSseEventLength = 4_000_000;

/**
 * Parses an event stream that comes in pieces cut anywhere.
 *
 * Lines end with LF, CR or CRLF; a byte order mark at the beginning is dropped; comments and unknown fields are
 * ignored; an event without data is none (but its id counts). A piece must not cut a character: decode with
 * `TextDecoder` in stream mode.
 *
 * @returns The function that takes the next piece.
 * @throws RangeError if one event is longer than {@link maxSseEventLength}.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export function createSseParser(consumer: SseConsumer): (piece: string) => void {
  /** The beginning of a line whose end has not come. */
  let rest = '';
  let begun = false;
  let skipLineFeed = false;
  let type = '';
  let data: string[] = [];
  let length = 0;
  let id = '';

  function line(text: string): void {
    if (text === '') {
      if (data.length > 0) consumer.event({ type: type || 'message', data: data.join('\n'), id });
      type = '';
      data = [];
      length = 0;
      return;
    }
    const colon = text.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') {
      data.push(value);
      length += value.length + 1;
      assertLength(length);
    } else if (name === 'event') type = value;
    else if (name === 'id') {
      if (!value.includes('\0')) id = value;
    } else if (name === 'retry' && /^\d{1,9}$/.test(value)) consumer.retry(Number(value));
  }

  return (piece) => {
    let text = piece;
    if (!begun && text !== '') {
      begun = true;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    let from = 0;
    if (skipLineFeed && text !== '') {
      skipLineFeed = false;
      if (text[0] === '\n') from = 1;
    }
    for (;;) {
      const end = lineEnd(text, from);
      if (end < 0) break;
      line(rest + text.slice(from, end));
      rest = '';
      from = end + 1;
      if (text[end] === '\r') {
        if (from === text.length) skipLineFeed = true;
        else if (text[from] === '\n') from += 1;
      }
    }
    rest += text.slice(from);
    assertLength(length + rest.length);
  };
}

const lineBreak = /[\r\n]/g;

function lineEnd(text: string, from: number): number {
  lineBreak.lastIndex = from;
  return lineBreak.exec(text)?.index ?? -1;
}

function assertLength(length: number): void {
  if (length > maxSseEventLength) throw new RangeError('An event of the stream is too long');
}
