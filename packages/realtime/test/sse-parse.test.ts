import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createSseParser, maxSseEventLength, type SseEvent } from '../src/client/sse-parse.ts';

vi.setConfig({ testTimeout: 60_000 });

function parse(pieces: readonly string[]): { events: SseEvent[]; retries: number[] } {
  const events: SseEvent[] = [];
  const retries: number[] = [];
  const push = createSseParser({
    event: (event) => events.push(event),
    retry: (delayMs) => retries.push(delayMs),
  });
  for (const piece of pieces) push(piece);
  return { events, retries };
}

/** The stream algorithm of the standard on the whole text, written for clearness alone. */
function reference(text: string): SseEvent[] {
  const events: SseEvent[] = [];
  let type = '';
  let data: string[] = [];
  let id = '';
  const lines = text
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n')
    .split('\n');
  lines.pop();
  for (const line of lines) {
    if (line === '') {
      if (data.length > 0) events.push({ type: type || 'message', data: data.join('\n'), id });
      type = '';
      data = [];
      continue;
    }
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) as RegExpExecArray;
    if (name === 'data') data.push(value ?? '');
    if (name === 'event') type = value ?? '';
    if (name === 'id' && !value?.includes('\0')) id = value ?? '';
  }
  return events;
}

const field = fc.oneof(
  fc.constantFrom('data', 'event', 'id', 'retry', 'other', '', 'data: a', 'data:', 'id: 1.2', ': comment'),
  fc
    .tuple(fc.constantFrom('data', 'event', 'id', '', 'x'), fc.constantFrom(':', ': ', ':  '), fc.string())
    .map((parts) => parts.join('').replaceAll(/[\r\n]/g, '')),
);
const stream = fc
  .tuple(
    fc.constantFrom('', '\uFEFF'),
    fc.array(
      fc.tuple(
        fc.oneof({ weight: 3, arbitrary: field }, { weight: 2, arbitrary: fc.constant('') }),
        fc.constantFrom('\n', '\r', '\r\n'),
      ),
      { maxLength: 40 },
    ),
  )
  .map(([mark, lines]) => mark + lines.map(([line, end]) => line + end).join(''));

describe('the parser of event streams', () => {
  it('gives what the standard says, however the stream is cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(400), { maxLength: 30 }), (text, cuts) => {
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b),
          text.length,
        ];
        const pieces = places.slice(1).map((place, index) => text.slice(places[index], place));
        expect(parse(pieces).events).toEqual(reference(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives the same when every character comes alone', () => {
    fc.assert(
      fc.property(stream, (text) => {
        expect(parse([...text]).events).toEqual(reference(text));
      }),
      { numRuns: 500 },
    );
  });

  it('joins the lines of data, keeps the id for later events and drops an event without data', () => {
    const { events } = parse(['id: 7\ndata: a\ndata:b\ndata\n\nevent: x\n\ndata: c\n\n']);
    expect(events).toEqual([
      { type: 'message', data: 'a\nb\n', id: '7' },
      { type: 'message', data: 'c', id: '7' },
    ]);
  });

  it('takes a retry of digits only', () => {
    expect(parse(['retry: 1500\nretry: soon\nretry: -1\n\n']).retries).toEqual([1500]);
  });

  it('gives up an event that never ends instead of keeping all of it', () => {
    const push = createSseParser({ event: () => {}, retry: () => {} });
    const piece = `data: ${'x'.repeat(100_000)}\n`;
    expect(() => {
      for (let sent = 0; sent <= maxSseEventLength; sent += piece.length) push(piece);
    }).toThrow(RangeError);
    const line = createSseParser({ event: () => {}, retry: () => {} });
    expect(() => {
      for (let sent = 0; sent <= maxSseEventLength; sent += 100_000) line('x'.repeat(100_000));
    }).toThrow(RangeError);
  });
});
