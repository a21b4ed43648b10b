import { afterEach, beforeEach, describe } from 'vitest';
import { changes } from './remote-tier/changes.ts';
import { commits } from './remote-tier/commits.ts';
import { type RemoteTierFixture, type TierGround, tierGround } from './remote-tier/ground.ts';
import { leases } from './remote-tier/leases.ts';
import { reads } from './remote-tier/reads.ts';
import { writes } from './remote-tier/writes.ts';

/**
 * Checks every promise of the `RemoteTier` port on real tiers. Called at the top of a file of tests for vitest, which
 * is a peer dependency for this alone; time is real.
 *
 * @param name - Of the tier, for the name of the block.
 * @param fixture - Called before each test.
 */
export function remoteTierSuite(name: string, fixture: () => Promise<RemoteTierFixture>): void {
  describe(`remote tier: ${name}`, () => {
    let present: TierGround;
    const ground = (): TierGround => present;

    beforeEach(async () => {
      present = tierGround(await fixture());
    });
    afterEach(() => present.close());

    reads(ground);
    leases(ground);
    commits(ground);
    writes(ground);
    changes(ground);
  });
}
