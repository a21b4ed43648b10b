import { below, logNormal, type Random } from './random.ts';

/** The accounts and what belongs to each; ids count from 1 in the order they are written. */
export interface World {
  devices: number[][];
  campaigns: number[][];
  /** Share of the calls of a campaign that is picked up, by campaign id. */
  pickUp: number[];
  accountWeights: number[];
}

export interface InventedCall {
  deviceId: number | null;
  campaignId: number | null;
  phoneNumber: string;
  status: 'answered' | 'completed' | 'failed';
  duration: number | null;
}

/** One call of the account, with the outcome its campaign makes likely. */
export function inventCall(world: World, account: number, random: Random): InventedCall {
  const devices = world.devices[account] ?? [];
  const campaigns = world.campaigns[account] ?? [];
  // The square makes the first devices and campaigns of an account the busy ones.
  const deviceId = devices[Math.floor(devices.length * random() ** 2)] ?? null;
  const campaignId =
    random() < 0.7 ? (campaigns[Math.floor(campaigns.length * random() ** 2)] ?? null) : null;
  const pickedUp = random() < (campaignId === null ? 0.72 : (world.pickUp[campaignId] ?? 0.5));
  const status = pickedUp ? (random() < 0.35 ? 'completed' : 'answered') : 'failed';
  return {
    deviceId,
    campaignId,
    phoneNumber: inventPhoneNumber(random),
    status,
    duration: pickedUp ? Math.min(3_600, Math.round(logNormal(random, 95, 0.9))) : null,
  };
}

export function inventPhoneNumber(random: Random): string {
  return `+1 555 ${String(below(random, 1_000)).padStart(3, '0')} ${String(below(random, 10_000)).padStart(4, '0')}`;
}
