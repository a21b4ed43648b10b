export { FakeClock } from './fake-clock.ts';
export {
  FaultProxy,
  type FaultProxyOptions,
  type ProxiedConnection,
  startFaultProxy,
} from './fault-proxy.ts';
export { type LockFixture, lockSuite } from './lock-suite.ts';
export { lossyBus } from './lossy-bus.ts';
export { MemoryRemote } from './memory-remote.ts';
export {
  MemoryRemoteTier,
  type MemoryRemoteTierOptions,
  memoryRemoteTier,
} from './memory-remote-tier.ts';
export { type RaceSuiteOptions, raceSuite } from './race-suite.ts';
export type { RaceFixture, RaceLink, RaceProcess, SharedStore } from './races/store.ts';
export type { RemoteTierFixture } from './remote-tier/ground.ts';
export { remoteTierSuite } from './remote-tier-suite.ts';
