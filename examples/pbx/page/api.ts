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

export interface OnlineDevices {
  /** `null` while nobody can say, because Redis does not answer. */
  online: number | null;
  total: number;
}

/** The part of the cache's metrics that the page shows; `hitRate` is in percent. */
export interface CacheReport {
  cache: { overall: { hitRate: number; totalRequests: number } };
}

export interface CommandResult {
  accepted: boolean;
  remaining: number;
  retryAfterSeconds: number;
}
