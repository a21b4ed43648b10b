#!/usr/bin/env node
import process from 'node:process';
import { runProgram } from './program.ts';

// Who reads may leave before the end, as `head` does; the work is done all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

void runProgram({
  arguments: process.argv.slice(2),
  environment: process.env,
  folder: process.cwd(),
  id: String(process.pid),
  print: (text) => process.stdout.write(text),
  tell: (text) => process.stderr.write(text),
  terminal: process.stderr.isTTY === true,
  onInterrupt(stop) {
    const signals = ['SIGINT', 'SIGTERM'] as const;
    for (const signal of signals) process.on(signal, stop);
    return () => {
      for (const signal of signals) process.off(signal, stop);
    };
  },
}).then((code) => {
  process.exitCode = code;
});
