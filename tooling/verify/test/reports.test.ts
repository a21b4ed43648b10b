import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ErrorsReporter } from '../errors-reporter.ts';
import { count, report, reportsVariable, settle } from '../reports.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reports-'));
  vi.stubEnv(reportsVariable, folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, json: object): void {
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(json));
}

test('counts the tests of every report', () => {
  write('unit', { success: true, numPassedTests: 7, numFailedTests: 0, numPendingTests: 1, testResults: [] });
  write('browser', { success: false, numPassedTests: 2, numFailedTests: 1, testResults: [] });
  expect(count(folder)).toMatchObject({ passed: 9, failed: 1, skipped: 1 });
});

test('a failed test is named with its file and its reason', () => {
  const ok = { status: 'passed', fullName: 'adds', failureMessages: [] };
  const bad = { status: 'failed', fullName: 'subtracts', failureMessages: ['expected 1 to be 2'] };
  const testResults = [{ name: '/sum.test.ts', status: 'failed', message: '', assertionResults: [ok, bad] }];
  write('unit', { success: false, numPassedTests: 1, numFailedTests: 1, testResults });
  expect(count(folder).failures).toEqual(['/sum.test.ts\nsubtracts\nexpected 1 to be 2']);
});

test('a test file that does not load is a failure', () => {
  const testResults = [
    { name: '/sum.test.ts', status: 'failed', message: 'no module', assertionResults: [] },
  ];
  write('unit', { success: false, numPassedTests: 7, numFailedTests: 0, testResults });
  expect(count(folder)).toMatchObject({ passed: 7, failed: 1, failures: ['/sum.test.ts\nno module'] });
});

test('a run that failed outside of its tests is a failure', () => {
  write('unit', { success: false, numPassedTests: 7, numFailedTests: 0, testResults: [] });
  expect(count(folder)).toMatchObject({ passed: 7, failed: 1 });
});

test('an error outside of every test is a failure that is named, beside what the run counts', () => {
  const error = {
    name: 'Error',
    message: 'gone',
    stack: 'Error: gone\n at here',
    VITEST_TEST_PATH: '/sum.test.ts',
  };
  new ErrorsReporter(folder).onTestRunEnd([], [error, { name: 'Error', message: 'worker died' }]);
  write('unit', { success: true, numPassedTests: 7, numFailedTests: 0, testResults: [] });
  expect(count(folder)).toMatchObject({
    passed: 7,
    failed: 2,
    failures: ['/sum.test.ts\nError: gone\n at here', 'outside of every file\nworker died'],
  });
});

test('a part that ended badly without a report is one failure', () => {
  settle(folder, 'docs:build', 1, count(folder));
  expect(count(folder)).toMatchObject({ passed: 0, failed: 1 });
});

test('a part that ended badly with passed tests only is one failure more', () => {
  const before = count(folder);
  report('unit', 5, 0);
  settle(folder, 'test', 137, before);
  expect(count(folder)).toMatchObject({ passed: 5, failed: 1 });
});

test('a part that ended well counts its own tests, or once when it has none', () => {
  const before = count(folder);
  report('unit', 5, 0);
  settle(folder, 'test', 0, before);
  settle(folder, 'lint', 0, count(folder));
  expect(count(folder)).toMatchObject({ passed: 6, failed: 0 });
});

test('nothing ran is no success', () => {
  expect(count(folder)).toMatchObject({ passed: 0, failed: 0 });
});
