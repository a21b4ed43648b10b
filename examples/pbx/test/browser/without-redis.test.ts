import { useDatabase } from '@cachekit/services/vitest';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, run } from '../../run.ts';
import { launchChromium } from './launch-chromium.ts';

const database = useDatabase();
const timeout = 45_000;

let browser: Browser;
let running: Running;
let page: Page;

beforeAll(async () => {
  running = await run({
    databaseUrl: database.url,
    page: true,
    size: { users: 2, devices: 6, campaigns: 2, calls: 1_000 },
    onProgress: () => {},
    onTrouble: () => {},
  });
  browser = await launchChromium();
  page = await browser.newPage({ viewport: { width: 1360, height: 980 } });
  await page.goto(running.origin);
});

afterAll(async () => {
  await browser?.close();
  await running?.close();
});

test('without Redis the page says what is off, and what needs none works (RC-1)', async () => {
  await page.locator('.card[data-off=true]').first().waitFor({ timeout });
  const off = await page.locator('.card[data-off=true] h2').allTextContents();
  expect(off.toSorted()).toEqual([
    'Comings and goings',
    'Devices',
    'Just ended',
    'Last ten minutes',
    'Pair a device',
  ]);
  await page.locator('[data-testid=online]').getByText('off: needs Redis').waitFor({ timeout });
  await page.getByRole('button', { name: 'Ring' }).click({ timeout });
  await page.locator('.commands output').getByText('Sent; 9 left').waitFor({ timeout });
  await page.getByRole('button', { name: 'Place a call' }).click();
  await page.locator('[data-call]').first().waitFor({ timeout });
});

test('without Redis a device is told that it cannot be paired (RC-1)', async () => {
  await page.goto(`${running.origin}/device.html`);
  await page.getByText('Pairing needs Redis').waitFor({ timeout });
});
