/** What the server answers; the page and the server share these types. */
export interface Account {
  id: string;
  name: string;
}

export interface StatisticsDay {
  date: string;
  totalCalls: number;
  answeredCalls: number;
  completedCalls: number;
  failedCalls: number;
  averageDurationSeconds: number | null;
  devicesUsed: number;
}

export interface DevicePerformance {
  deviceId: string;
  name: string;
  totalCalls: number;
  answeredCalls: number;
  completedCalls: number;
  averageDurationSeconds: number | null;
  lastCallAt: string | null;
}

export interface CampaignPerformance {
  campaignId: string;
  name: string;
  totalCalls: number;
  answeredCalls: number;
  completedCalls: number;
  failedCalls: number;
  answerRatePercent: number | null;
}

type CallStatus = 'ringing' | 'answered' | 'completed' | 'failed';

export interface RecentCall {
  id: string;
  phoneNumber: string;
  status: CallStatus;
  deviceName: string | null;
  campaignName: string | null;
  startTime: string;
  durationSeconds: number | null;
}

export interface Device {
  id: string;
  name: string;
}

export interface DevicesOnline {
  /** How many are online; `null` while nobody can say, because Redis does not answer. */
  online: number | null;
  devices: (Device & { online: boolean })[];
}

/** Calls of the last ten minutes. */
export interface LiveCount {
  name: 'placed' | 'answered' | 'failed';
  total: number;
  /** Each ten seconds of them, the oldest first. */
  series: number[];
}

export interface EndedCall {
  id: string;
  phoneNumber: string;
  status: 'completed' | 'failed';
  durationSeconds: number | null;
  at: string;
}

export const commandNames = ['ring', 'restart', 'update'] as const;
export type CommandName = (typeof commandNames)[number];

export interface SentCommand {
  command: CommandName;
  /** Greater than that of every command before: a device that has seen a greater one ignores it. */
  fencingToken: number;
}

/** What a device shows and keeps when it has asked for a code. */
export interface NewCode {
  code: string;
  secret: string;
  expiresAt: string;
  intervalSeconds: number;
}

/** What the device gets once a person has agreed. */
export interface PairedDevice {
  account: string;
  deviceId: string;
}

/** What a device is told that asks what became of its code, in the words of RFC 8628. */
export type PairingAnswer =
  | PairedDevice
  | { error: 'authorization_pending' | 'slow_down' | 'access_denied' | 'expired_token' };

/** Which parts are at work; those that need Redis are off without it. */
export interface Parts {
  redis: boolean;
}

interface ResourceReport {
  hits: number;
  misses: number;
  hitRate: number;
  totalRequests: number;
  ttlMs?: number;
}

/** The part of the cache's metrics that the page shows; rates are in percent. */
export interface CacheReport {
  cache: Record<string, ResourceReport> & { overall: ResourceReport };
  /** Absent without Redis, `null` while it does not answer. */
  redis?: {
    memory: { usedMemoryHuman: string; memoryUsagePercent: number | null };
    stats: { connectedClients: number; hitRate: number };
  } | null;
}
