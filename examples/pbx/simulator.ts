import type { SqlExecutor } from '@cachekit/core';
import type { DevicePresence } from './presence.ts';
import { inventPhoneNumber } from './seed/invent.ts';
import { below, logNormal, type Random } from './seed/random.ts';

interface SimulatorOptions {
  sql: SqlExecutor;
  /** Without one no device comes or goes. */
  presence: DevicePresence | undefined;
  random: Random;
  /** Average time between two new calls. */
  callEveryMs?: number;
  onError: (error: unknown) => void;
}

interface Device {
  id: string;
  user_id: string;
}

const heartbeatEveryMs = 10_000;
const longestOnlineMs = 600_000;
const longestAwayMs = 90_000;
/** Share of the new calls that go to the first account, so that whoever opens the page sees it move. */
const firstAccountShare = 0.6;

/** Writes what a call centre writes: calls that ring, are answered and end, and the heartbeats of devices. */
export async function startSimulator({
  sql,
  presence,
  random,
  callEveryMs = 1_500,
  onError,
}: SimulatorOptions): Promise<() => void> {
  const { rows: devices } = await sql.query<Device>(
    'select id::text, user_id::text from devices order by id',
  );
  const firstAccount = devices.filter((device) => device.user_id === devices[0]?.user_id);
  const timers = new Set<NodeJS.Timeout>();

  const later = (delayMs: number, act: () => Promise<unknown>): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act().catch(onError);
    }, delayMs);
    timers.add(timer);
  };

  async function ring(): Promise<void> {
    later(callEveryMs * (0.4 + 1.2 * random()), ring);
    const pool = random() < firstAccountShare ? firstAccount : devices;
    const device = pool[below(random, pool.length)];
    if (!device) return;
    const callId = await writeCall(sql, device, inventPhoneNumber(random));
    later(1_500 + 3_000 * random(), async () => {
      if (random() < 0.35) return updateCall(sql, callId, 'failed', null);
      await updateCall(sql, callId, 'answered', null);
      const duration = Math.min(40, Math.round(logNormal(random, 9, 0.7)));
      later(duration * 1_000, () => updateCall(sql, callId, 'completed', duration));
    });
  }

  /** A device is switched on, is seen every few seconds, and is switched off or, one time in four, falls silent. */
  async function live(device: Device, restMs: number): Promise<void> {
    if (!presence) return;
    if (restMs > 0) {
      await presence.seen(device.user_id, device.id);
      return later(heartbeatEveryMs, () => live(device, restMs - heartbeatEveryMs));
    }
    if (random() < 0.75) await presence.leave(device.user_id, device.id);
    later(longestAwayMs * random(), () => live(device, longestOnlineMs * random()));
  }

  for (const device of devices) {
    // One of five is away when the curtain rises.
    const away = random() < 0.2;
    later((away ? longestAwayMs : heartbeatEveryMs) * random(), () =>
      live(device, longestOnlineMs * random()),
    );
  }
  later(500, ring);
  return () => {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  };
}

/** Inserts a ringing call of the device, in one of its account's campaigns. */
export async function writeCall(sql: SqlExecutor, device: Device, phoneNumber: string): Promise<string> {
  const { rows } = await sql.query<{ id: string }>(
    `insert into calls (user_id, device_id, campaign_id, phone_number, status)
     values ($1, $2, (select id from number_lists where user_id = $1 order by random() limit 1), $3, 'ringing')
     returning id::text`,
    [device.user_id, device.id, phoneNumber],
  );
  return rows[0]?.id ?? '';
}

async function updateCall(
  sql: SqlExecutor,
  callId: string,
  status: string,
  duration: number | null,
): Promise<void> {
  await sql.query('update calls set status = $2, duration = $3 where id = $1', [callId, status, duration]);
}

/** Hangs up: the call is completed, and lasted as long as it has been. @returns Whether it was under way. */
export async function endCall(sql: SqlExecutor, account: string, callId: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `update calls set status = 'completed', duration = extract(epoch from clock_timestamp() - start_time)::int
     where id = $1 and user_id = $2 and status in ('ringing', 'answered')`,
    [callId, account],
  );
  return rowCount === 1;
}
