export { FakeClock } from './fake-clock.ts';
export {
  MemoryRemote,
  MemoryRemoteTier,
  type MemoryRemoteTierOptions,
  memoryRemoteTier,
} from './memory-remote-tier.ts';
export { type LockFixture, lockSuite } from './lock-suite.ts';
export { type RemoteTierFixture, remoteTierSuite } from './remote-tier-suite.ts';
