import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { useDatabase } from '@cachekit/services/vitest';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { type Running, run } from '../../run.ts';
import { writeCall } from '../../simulator.ts';
import { type CuttableProxy, cuttableProxy } from '../cuttable-proxy.ts';
import { launchChromium } from './launch-chromium.ts';

const artifacts = fileURLToPath(new URL('../../../../artifacts/', import.meta.url));
const database = useDatabase();
const patienceMs = 45_000;

let browser: Browser;
let running: Running;
let line: CuttableProxy;
let page: Page;
let problems: string[];

beforeAll(async () => {
  running = await run({
    databaseUrl: database.url,
    redis: { REDIS_URL: inject('redisUrl') },
    page: true,
    size: { users: 3, devices: 40, campaigns: 10, calls: 20_000 },
    onProgress: () => {},
    onTrouble: () => {},
  });
  line = await cuttableProxy(running.origin);
  browser = await launchChromium();
  await mkdir(artifacts, { recursive: true });
});

beforeEach(async () => {
  problems = [];
  page = await browser.newPage({ viewport: { width: 1360, height: 980 } });
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(line.origin);
  await page.locator('[data-testid=connection][data-state=live]').waitFor({ timeout: patienceMs });
  await page.locator('[data-call]').first().waitFor({ timeout: patienceMs });
  // Survives as long as the document does, so a reload would show.
  await page.evaluate('globalThis.sameDocument = true');
  return async () => {
    expect(await page.evaluate('globalThis.sameDocument')).toBe(true);
    expect(problems).toEqual([]);
    await page.close();
  };
});

afterAll(async () => {
  await browser?.close();
  await running?.close();
  await line?.close();
});

async function insertCall(): Promise<string> {
  return writeCall(running.switchboard.sql, { id: '1', user_id: '1' }, '+1 555 123 4567');
}

const callOnPage = (callId: string) => page.locator(`[data-call="${callId}"]`);

test('a row inserted by SQL appears without a reload, and the page says how long it took (RT-8, PBX-13)', async () => {
  const callId = await insertCall();
  await callOnPage(callId).waitFor({ timeout: patienceMs });
  const latency = page.locator('[data-testid=latency] dd');
  await expect.poll(() => latency.textContent(), { timeout: patienceMs }).toMatch(/\d m?s$/);
  await running.switchboard.sql.query(`update calls set status = 'completed', duration = 61 where id = $1`, [
    callId,
  ]);
  await callOnPage(callId).getByText('completed').waitFor({ timeout: patienceMs });
  await callOnPage(callId).getByText('1m 01s').waitFor({ timeout: patienceMs });
});

test('the totals follow when their view was refreshed (PBX-4, PBX-9)', async () => {
  const tile = page.locator('.tile', { hasText: 'Calls today' }).locator('dd');
  await expect.poll(() => tile.textContent(), { timeout: patienceMs }).toMatch(/^[\d,]+$/);
  const before = Number((await tile.textContent())?.replaceAll(',', ''));
  await insertCall();
  await expect
    .poll(async () => Number((await tile.textContent())?.replaceAll(',', '')), { timeout: patienceMs })
    .toBeGreaterThan(before);
});

test('a connection that was cut comes back with what was missed (RC-10)', async () => {
  line.cut({ refuse: true });
  await page.locator('[data-testid=connection]:not([data-state=live])').waitFor({ timeout: patienceMs });
  const missed = [await insertCall(), await insertCall()];
  line.mend();
  for (const callId of missed) await callOnPage(callId).waitFor({ timeout: patienceMs });
  await page.locator('[data-testid=connection][data-state=live]').waitFor({ timeout: patienceMs });
  const later = await insertCall();
  await callOnPage(later).waitFor({ timeout: patienceMs });
});

test("the browser's own HTTP cache never answers with the old list (RC-7)", async () => {
  // The answers may be kept by the browser: a refetch that did not say otherwise would be answered from there.
  const policies: (string | undefined)[] = [];
  page.on('response', (response) => {
    if (response.url().includes('/api/calls?')) policies.push(response.headers()['cache-control']);
  });
  for (let round = 0; round < 3; round++) {
    const callId = await insertCall();
    await callOnPage(callId).waitFor({ timeout: patienceMs });
    const newest = await page.locator('[data-call]').first().getAttribute('data-call');
    expect(newest).toBe(callId);
  }
  expect(policies.length).toBeGreaterThanOrEqual(3);
  for (const policy of policies) expect(policy).toMatch(/^private, max-age=60\b/);
});

test('what the browser keeps of one account is never shown to another (RC-3, RC-7)', async () => {
  const { rows } = await running.switchboard.sql.query<{ id: string }>(
    'select id::text from calls where user_id = 2 order by start_time desc, id desc limit 7',
  );
  const read = (account: string): Promise<{ calls: { id: string }[] }> =>
    page.evaluate(
      `fetch('/api/calls?limit=7', { headers: { 'X-Account-Id': '${account}' } }).then((answer) => answer.json())`,
    );
  await read('1');
  expect((await read('2')).calls.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
  await page.getByLabel('Account').selectOption('2');
  await callOnPage(rows[0]?.id ?? '').waitFor({ timeout: patienceMs });
});

test('it fits a desk and a phone, without a sideways scroll', async () => {
  await insertCall();
  for (const [name, width, height] of [
    ['desktop', 1360, 980],
    ['phone', 390, 844],
  ] as const) {
    await page.setViewportSize({ width, height });
    await page.locator('.recharts-bar-rectangle').first().waitFor({ timeout: patienceMs });
    // The chart follows the window in a later frame.
    await expect
      .poll(
        () => page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
        {
          timeout: patienceMs,
          message: name,
        },
      )
      .toBe(0);
    await page.screenshot({ path: `${artifacts}pbx-${name}.png`, fullPage: true });
  }
});
