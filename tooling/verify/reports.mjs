// Runs on Node 20 too, before anything is installed: keep it free of dependencies.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Where the counts of this run go, one JSON file per run of a test tool; unset when nobody counts.
 * The field names are those of the JSON reporter of vitest, which writes into the same folder.
 */
export const reportsVariable = 'CACHEKIT_REPORTS';

/**
 * Writes down how many checks of a part held, if somebody counts.
 *
 * @param {string} name
 * @param {number} passed
 * @param {number} failed
 */
export function report(name, passed, failed) {
  const folder = process.env[reportsVariable];
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  const text = JSON.stringify({ success: failed === 0, numPassedTests: passed, numFailedTests: failed });
  writeFileSync(join(folder, `${name.replaceAll(':', '-')}.json`), text);
}

/**
 * Sums the reports in a folder. A run that failed counts at least one failure, also when no single test did: a file
 * that does not load, or an error outside every test. A skipped test is neither passed nor failed, but it is named.
 *
 * @param {string} folder
 * @returns {{ passed: number, failed: number, skipped: number, reports: string[], failures: string[] }} failures: each
 *   failed test with its file and its reason.
 */
export function count(folder) {
  const sum = {
    passed: 0,
    failed: 0,
    skipped: 0,
    reports: /** @type {string[]} */ ([]),
    failures: /** @type {string[]} */ ([]),
  };
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.json')) continue;
    const report = read(join(folder, name));
    sum.failures.push(...(report.errors ?? []));
    const files = report.testResults ?? [];
    const unloaded = files.filter(
      ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
    );
    const failed = report.numFailedTests + unloaded.length;
    for (const file of unloaded) sum.failures.push(`${file.name}\n${file.message}`);
    for (const file of files) {
      for (const { status, fullName, failureMessages } of file.assertionResults) {
        if (status === 'failed')
          sum.failures.push(`${file.name}\n${fullName}\n${failureMessages.join('\n')}`);
      }
    }
    sum.passed += report.numPassedTests;
    sum.failed += failed === 0 && !report.success ? 1 : failed;
    sum.skipped += (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
    sum.reports.push(name);
  }
  return sum;
}

/**
 * @param {string} file
 * @returns {{
 *   success: boolean, numPassedTests: number, numFailedTests: number, numPendingTests?: number, numTodoTests?: number,
 *   errors?: string[],
 *   testResults?: {
 *     name: string, status: string, message: string,
 *     assertionResults: { status: string, fullName: string, failureMessages: string[] }[],
 *   }[],
 * }}
 */
function read(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/**
 * Makes sure that a finished part is counted: by its own report, else as one check.
 *
 * @param {string} folder
 * @param {string} part
 * @param {number} code - The part's exit code.
 * @param {ReturnType<typeof count>} before - The count when the part began.
 */
export function settle(folder, part, code, before) {
  const after = count(folder);
  const itsFailures = after.failed - before.failed;
  const itsTests = after.passed - before.passed + itsFailures;
  if (code !== 0 && itsFailures === 0) report(part, 0, 1);
  else if (code === 0 && itsTests === 0) report(part, 1, 0);
}
