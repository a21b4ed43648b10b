export {
  type CounterReading,
  type Counters,
  type CountersOptions,
  createCounters,
} from './counters/counters.ts';
export {
  type RedisCheck,
  type RedisDoctorOptions,
  type RedisFinding,
  redisDoctor,
} from './doctor/redis-doctor.ts';
export { RedisUnavailableError, UnsupportedByClientError } from './errors.ts';
export { type IoRedisExecutorOptions, ioredisExecutor } from './executors/ioredis.ts';
export type { IoRedisConnectionLike, IoRedisLike } from './executors/ioredis-like.ts';
export { createLists, type ListElement, type Lists, type ListsOptions } from './lists/lists.ts';
export { createLocks, type Locks, type LocksOptions } from './lock/locks.ts';
export type { Name } from './name-parts.ts';
export { createPairing } from './pairing/create-pairing.ts';
export type { ClaimResult, NewPairing, Pairing, PairingOptions } from './pairing/pairing.ts';
export type { PairingPoll, PairingStatus } from './pairing/pairing-status.ts';
export { createPresence } from './presence/create-presence.ts';
export type { HeldPresence, Presence, PresenceOptions, SeenOptions } from './presence/presence.ts';
export type { LeaveReason, OnlineMember, PresenceChange } from './presence/presence-change.ts';
export type { PresenceNews } from './presence/presence-watch.ts';
export type { RandomBytes } from './secret.ts';
export { createSessions } from './sessions/create-sessions.ts';
export type {
  IdentifiedSession,
  SaveOutcome,
  Session,
  Sessions,
  SessionsOptions,
} from './sessions/sessions.ts';
export { redisStats } from './stats/redis-stats.ts';
export { redisTier } from './tier/create-redis-tier.ts';
export type { CoherenceFallback, RedisTier, RedisTierOptions } from './tier/redis-tier.ts';
export type { WakeUp } from './wake-up.ts';
