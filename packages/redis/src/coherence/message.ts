import { type CoherenceSink, tokenLength } from '@cachekit/core';
import { idMark, storedMark } from '../scripts/fragments.ts';

/** A message of the channel: what it says, and where in the log it stands, if it was logged. */
export function published(text: string): { readonly id?: string; readonly message: string } {
  const end = text.startsWith(idMark) ? text.indexOf(' ') : -1;
  return end === -1
    ? { message: text }
    : { id: text.slice(idMark.length, end), message: text.slice(end + 1) };
}

/** Hands on what a message of the scripts says. */
export function hear(message: string, sink: CoherenceSink): void {
  const keyStart = storedMark.length + tokenLength;
  if (message.startsWith(storedMark) && message.length > keyStart) {
    sink.changed([message.slice(keyStart)], message.slice(storedMark.length, keyStart));
    return;
  }
  const keys = keysOf(message);
  if (keys === undefined) {
    sink.changedAll();
    return;
  }
  const unsaid: string[] = [];
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as string;
    if (keys[index + 1]?.startsWith(storedMark)) {
      sink.changed([key], (keys[++index] as string).slice(storedMark.length));
    } else unsaid.push(key);
  }
  if (unsaid.length > 0) sink.changed(unsaid);
}

/** Nothing if the message is none of ours; then anything may have changed. */
function keysOf(message: string): readonly string[] | undefined {
  try {
    const keys: unknown = JSON.parse(message);
    return Array.isArray(keys) && keys.every((key) => typeof key === 'string') ? keys : undefined;
  } catch {
    return undefined;
  }
}
