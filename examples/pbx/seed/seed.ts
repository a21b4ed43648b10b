import type { SqlExecutor } from '@cachekit/core';
import { schemaSql } from '../schema.sql.ts';
import { inventCall, type World } from './invent.ts';
import { accountName, campaignName, deviceName } from './names.ts';
import { below, createRandom, type Random, weighted } from './random.ts';

/** How much is written. The calls are spread over the last 90 days, in the accounts' share of the traffic. */
export interface SeedSize {
  users: number;
  devices: number;
  campaigns: number;
  calls: number;
}

export const fullSize: SeedSize = { users: 50, devices: 500, campaigns: 40, calls: 200_000 };

const batchRows = 5_000;
const dayMs = 86_400_000;
const seededDays = 90;

/** Calls in each hour of the day: quiet nights, a peak before lunch and one in the afternoon. */
const hourWeights = [1, 1, 1, 1, 1, 2, 5, 14, 34, 52, 60, 58, 38, 44, 58, 60, 54, 42, 26, 16, 10, 6, 3, 2];
/** Sunday to Saturday. */
const weekdayWeights = [0.25, 1, 1.1, 1.15, 1.1, 1, 0.45];

/**
 * Writes the schema and the same data for the same seed, unless the tables hold calls already.
 *
 * @param now - The end of the 90 days, milliseconds since the epoch.
 * @param onProgress - Called after each batch with how many calls are written.
 * @returns How many calls were written.
 */
export async function seed(
  sql: SqlExecutor,
  size: SeedSize,
  now: number,
  onProgress: (written: number, total: number) => void = () => {},
): Promise<number> {
  await sql.query(schemaSql);
  const { rows } = await sql.query<{ seeded: boolean }>('select exists (select from calls) as seeded');
  if (rows[0]?.seeded) return 0;

  const random = createRandom(20_261_120);
  const world = await writeAccounts(sql, size, random);
  for (let written = 0; written < size.calls; ) {
    const count = Math.min(batchRows, size.calls - written);
    await writeCalls(sql, world, count, now, random);
    written += count;
    onProgress(written, size.calls);
  }
  await sql.query('analyze');
  return size.calls;
}

async function writeAccounts(sql: SqlExecutor, size: SeedSize, random: Random): Promise<World> {
  const world: World = {
    devices: Array.from({ length: size.users }, () => []),
    campaigns: Array.from({ length: size.users }, () => []),
    pickUp: [0],
    // Zipf: the largest account has many times the traffic of the smallest.
    accountWeights: Array.from({ length: size.users }, (_, index) => 1 / (index + 1) ** 0.7),
  };
  const deviceOwners = owners(size.devices, world.accountWeights, random);
  // A small account has none, a large one several.
  const campaignOwners = Array.from({ length: size.campaigns }, () => weighted(random, world.accountWeights));
  deviceOwners.forEach((owner, index) => {
    world.devices[owner]?.push(index + 1);
  });
  campaignOwners.forEach((owner, index) => {
    world.campaigns[owner]?.push(index + 1);
    world.pickUp.push(0.25 + 0.5 * random());
  });
  await sql.query(
    'insert into users (name) select name from unnest($1::text[]) with ordinality as t (name, n) order by n',
    [Array.from({ length: size.users }, (_, index) => accountName(index))],
  );
  await sql.query(
    'insert into devices (user_id, name) select u, name from unnest($1::bigint[], $2::text[]) with ordinality as t (u, name, n) order by n',
    [deviceOwners.map((owner) => owner + 1), deviceOwners.map((_, index) => deviceName(index))],
  );
  await sql.query(
    'insert into number_lists (user_id, name) select u, name from unnest($1::bigint[], $2::text[]) with ordinality as t (u, name, n) order by n',
    [campaignOwners.map((owner) => owner + 1), campaignOwners.map((_, index) => campaignName(index))],
  );
  return world;
}

/** Every account gets one before the rest is shared out by weight, as long as there are enough. */
function owners(count: number, weights: readonly number[], random: Random): number[] {
  return Array.from({ length: count }, (_, index) =>
    index < weights.length ? index : weighted(random, weights),
  );
}

async function writeCalls(
  sql: SqlExecutor,
  world: World,
  count: number,
  now: number,
  random: Random,
): Promise<void> {
  const columns: [
    number[],
    (number | null)[],
    (number | null)[],
    string[],
    string[],
    string[],
    (number | null)[],
  ] = [[], [], [], [], [], [], []];
  for (let row = 0; row < count; row++) {
    const account = weighted(random, world.accountWeights);
    const call = inventCall(world, account, random);
    const at = callTime(now, random);
    columns[0].push(account + 1);
    columns[1].push(call.deviceId);
    columns[2].push(call.campaignId);
    columns[3].push(call.phoneNumber);
    columns[4].push(call.status);
    columns[5].push(new Date(at).toISOString());
    columns[6].push(call.duration);
  }
  await sql.query(
    `insert into calls (user_id, device_id, campaign_id, phone_number, status, start_time, duration)
     select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::int[])`,
    columns,
  );
}

function callTime(now: number, random: Random): number {
  for (;;) {
    const day = now - below(random, seededDays) * dayMs;
    const midnight = day - (day % dayMs);
    if (random() * 1.15 > (weekdayWeights[new Date(midnight).getUTCDay()] ?? 1)) continue;
    const at = midnight + (weighted(random, hourWeights) + random()) * 3_600_000;
    if (at < now) return Math.floor(at);
  }
}
