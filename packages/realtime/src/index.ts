export {
  became,
  type ChangeCondition,
  changed,
  type DerivedEvent,
  defineEvents,
  type EventDefinitions,
  type EventRule,
  type EventRules,
  type EventsOf,
  on,
  type RuleChange,
  type RuleOperation,
} from './events/define-events.ts';
export { type DeriveEvents, type PublishHub, publishStage } from './events/derive.ts';
export { maxEventLength, type RealtimeEventInput } from './events/event.ts';
export type { StreamSink } from './hub/connection.ts';
export type { StreamGapReason } from './hub/frame.ts';
export { createHub, type Hub, type HubOptions } from './hub/hub.ts';
export type { HubMetrics } from './hub/hub-metrics.ts';
export type { GapNotice, PublishResult } from './hub/publisher.ts';
export type { HubStream, StreamAdmission, StreamRequest } from './hub/streams.ts';
export type {
  EventLog,
  LogAppend,
  LogFollower,
  LogGapReason,
  LogRead,
  LogRecord,
  LogTail,
  NewLogRecord,
  NumberedRecord,
} from './log/event-log.ts';
export { createMemoryLog, type MemoryLogOptions } from './log/memory-log.ts';
export { createRedisLog, type RedisLogOptions } from './log/redis-log.ts';
export type { LogPosition } from './position.ts';
export {
  positionHeader,
  type SseHandlerOptions,
  type StreamIdentity,
  sseHandler,
  withPosition,
} from './server/sse-handler.ts';
