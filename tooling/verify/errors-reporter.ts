import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Reporter } from 'vitest/node';

/** What vitest knows of an error outside of every test. */
type UnhandledError = Parameters<NonNullable<Reporter['onTestRunEnd']>>[1][number];

/**
 * Writes down the errors outside of every test, which the JSON reporter leaves out: a rejection that nobody heard, a worker
 * that died. One file per run, beside its counts.
 */
export class ErrorsReporter implements Reporter {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  onTestRunEnd(_modules: unknown, errors: readonly UnhandledError[]): void {
    if (errors.length === 0) return;
    mkdirSync(this.#folder, { recursive: true });
    const text = JSON.stringify({
      success: false,
      numPassedTests: 0,
      numFailedTests: errors.length,
      errors: errors.map(described),
    });
    writeFileSync(join(this.#folder, `errors-${process.pid}.json`), text);
  }
}

function described(error: UnhandledError): string {
  const { VITEST_TEST_PATH: file, VITEST_TEST_NAME: test } = error;
  const during = [file, test].filter((part) => typeof part === 'string').join('\nduring ');
  const reason = error.stack ?? error.message;
  const lines = reason.split('\n').filter((line) => !line.includes('/node_modules/vitest/'));
  return [during || 'outside of every file', ...lines].join('\n');
}
