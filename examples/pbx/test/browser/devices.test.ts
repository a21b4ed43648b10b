import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type RedisServer, startRedis } from '@cachekit/services';
import { useDatabase } from '@cachekit/services/vitest';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Running, run } from '../../run.ts';
import { launchChromium } from './launch-chromium.ts';

const artifacts = fileURLToPath(new URL('../../../../artifacts/', import.meta.url));
const database = useDatabase();
const timeout = 45_000;

let redis: RedisServer;
let browser: Browser;
let running: Running;
let page: Page;
let phone: Page;
let problems: string[];

beforeAll(async () => {
  // Of its own: another file has the same accounts in another database.
  redis = await startRedis({ own: true });
  running = await run({
    databaseUrl: database.url,
    redis: { REDIS_URL: redis.url },
    page: true,
    size: { users: 3, devices: 24, campaigns: 6, calls: 3_000 },
    onProgress: () => {},
    onTrouble: () => {},
  });
  browser = await launchChromium();
  await mkdir(artifacts, { recursive: true });
});

beforeEach(async () => {
  problems = [];
  page = await open('/', { width: 1360, height: 980 });
  await page.locator('[data-testid=connection][data-state=live]').waitFor({ timeout });
  phone = await open('/device.html', { width: 420, height: 700 });
  return async () => {
    expect(problems).toEqual([]);
    await phone.close();
    await page.close();
  };
});

afterAll(async () => {
  await browser?.close();
  await running?.close();
  await redis?.stop();
});

async function open(path: string, viewport: { width: number; height: number }): Promise<Page> {
  // A context of its own: a tab that remembers nothing of the others.
  const context = await browser.newContext({ viewport });
  const opened = await context.newPage();
  opened.on('pageerror', (error) => problems.push(error.message));
  await opened.goto(running.origin + path);
  return opened;
}

async function claim(): Promise<void> {
  const code = await phone.locator('[data-testid=code]').textContent({ timeout });
  await page.getByLabel('Code on the device').fill((code ?? '').toLowerCase());
  await page.getByRole('button', { name: 'Look it up' }).click();
  await page.getByText(/^Browser phone \d+ wants to join/).waitFor({ timeout });
}

/** Pairs the phone with the account on the page. @returns The id of the device. */
async function pair(): Promise<string> {
  await claim();
  await page.getByRole('button', { name: 'Agree' }).click();
  await phone.locator('[data-testid=state][data-state=live]').waitFor({ timeout });
  return (await phone.locator('[data-testid=device-id]').textContent()) ?? '';
}

const onBoard = (deviceId: string, online: boolean) =>
  page.locator(`[data-device="${deviceId}"][data-online=${online}]`);

test('a device shows a code, somebody types it and agrees, and it is online on the page (PBX-10, PBX-12)', async () => {
  const deviceId = await pair();
  await onBoard(deviceId, true).waitFor({ timeout });
  const name = await onBoard(deviceId, true).textContent();
  const comings = page.locator('[data-testid=comings] li', { hasText: name ?? '' });
  await expect
    .poll(() => comings.allTextContents(), { timeout })
    .toEqual([expect.stringContaining('online')]);
  const { rows } = await running.switchboard.sql.query(
    'select user_id::text as account, name from devices where id = $1',
    [deviceId],
  );
  expect(rows).toEqual([{ account: '1', name }]);
  await phone.setViewportSize({ width: 360, height: 640 });
  const sideways = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
  expect(await phone.evaluate(sideways)).toBe(0);
  await phone.screenshot({ path: `${artifacts}pbx-device.png` });
  await page.screenshot({ path: `${artifacts}pbx-devices.png`, fullPage: true });
});

test('somebody refuses, and the device says so; a code that no device shows is none (PBX-10)', async () => {
  await claim();
  await page.getByRole('button', { name: 'Refuse' }).click();
  await phone.getByText('Somebody refused this device').waitFor({ timeout });
  await page.getByLabel('Code on the device').fill('BBBB-BBBB');
  await page.getByRole('button', { name: 'Look it up' }).click();
  await page.getByText('No device shows this code').waitFor({ timeout });
});

test('a command reaches the device, and the eleventh of a minute is refused on the page (PBX-11)', async () => {
  const deviceId = await pair();
  await onBoard(deviceId, true).click({ timeout });
  const said = page.locator('.commands output');
  const ring = page.getByRole('button', { name: 'Ring' });
  for (let left = 9; left >= 0; left--) {
    await ring.click();
    await said.getByText(`Sent; ${left} left`).waitFor({ timeout });
  }
  await phone.locator('[data-testid=received]').getByText('It rings').first().waitFor({ timeout });
  await ring.click();
  await said.getByText(/Refused: wait \d+ s/).waitFor({ timeout });
  await expect
    .poll(() => page.locator('[data-policy=commands] td').last().textContent(), { timeout })
    .toBe('1');
});

test('a device that is switched off, or whose tab is closed, leaves the page at once (PBX-12)', async () => {
  const deviceId = await pair();
  await onBoard(deviceId, true).waitFor({ timeout });
  await phone.getByRole('button', { name: 'Switch off' }).click();
  await onBoard(deviceId, false).waitFor({ timeout });
  await phone.getByRole('button', { name: 'Switch on' }).click();
  await onBoard(deviceId, true).waitFor({ timeout });
  await phone.goto('about:blank');
  await onBoard(deviceId, false).waitFor({ timeout });
  await page.locator('[data-testid=comings]').getByText('switched off').first().waitFor({ timeout });
});

test('counters move with the calls, and a call that has ended stands in the history (PBX-15, CRM-5)', async () => {
  const placed = page.locator('[data-counter=placed] dd');
  const count = async (): Promise<number> => Number(await placed.textContent({ timeout }));
  const before = await count();
  await page.getByRole('button', { name: 'Place a call' }).click();
  await expect.poll(count, { timeout }).toBeGreaterThan(before);
  const { rows } = await running.switchboard.sql.query<{ phone: string }>(
    `update calls set status = 'completed', duration = 83
     where user_id = 1 and status = 'ringing' returning phone_number as phone`,
  );
  const line = page.locator('[data-testid=history] li', { hasText: rows[0]?.phone ?? '' });
  await line.getByText('1m 23s').waitFor({ timeout });
});

test('the operations panel has hit rates, the memory of Redis, the pool and an alert (CRM-1, CRM-6, CRM-7, PBX-14)', async () => {
  const { cache, operations } = running.switchboard;
  cache.resetMetrics();
  // A hundred reads that are all different, so none of them is a hit.
  await page.evaluate(`Promise.all(Array.from({ length: 100 }, (_, index) =>
    fetch('/api/calls?limit=' + (index + 1), { headers: { 'X-Account-Id': '2' } })))`);
  await operations.alerts.check();
  await page
    .locator('[data-testid=alerts]')
    .getByText(/^Hit rate [\d.]+ %$/)
    .waitFor({ timeout });
  await page
    .locator('[data-testid=servers]')
    .getByText(/^\d.*[BKMG]/)
    .first()
    .waitFor({ timeout });
  await page
    .locator('[data-testid=servers]')
    .getByText(/ of 20$/)
    .waitFor({ timeout });
  const reads = page.locator('[data-testid=cache] tr', { hasText: 'recentCalls' }).locator('td').nth(3);
  const readings = async (): Promise<number> => Number(await reads.textContent({ timeout }));
  await expect.poll(readings, { timeout }).toBeGreaterThanOrEqual(100);
  await page.getByRole('button', { name: 'Count anew' }).click();
  await expect.poll(readings, { timeout }).toBeLessThan(100);
});
