import type { WriteStream } from 'node:tty';

/** Shows what is being done: one line a task, which a terminal updates in place. */
export interface Progress {
  show(task: string, detail: string): void;
  note(text: string): void;
  end(): void;
}

/** How often a task that advances is repeated where lines cannot be updated, in milliseconds. */
const quietMs = 2_000;

export function createProgress(output: Pick<WriteStream, 'write' | 'isTTY'>): Progress {
  let task = '';
  let shownAt = 0;
  let pending = '';

  function finishLine(): void {
    if (output.isTTY && task !== '') output.write('\n');
    else if (pending !== '') output.write(`${pending}\n`);
    pending = '';
    task = '';
  }

  return {
    show(name, detail) {
      const text = `  ${name.padEnd(12)}${detail}`;
      if (name !== task) finishLine();
      if (output.isTTY) output.write(`\r\u001b[2K${text}`);
      else if (name !== task || Date.now() - shownAt > quietMs) {
        output.write(`${text}\n`);
        shownAt = Date.now();
        pending = '';
      } else pending = text;
      task = name;
    },
    note(text) {
      finishLine();
      output.write(`  ${text}\n`);
    },
    end: finishLine,
  };
}
