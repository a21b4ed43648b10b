import { defineInvalidations } from '@cachekit/core';
import { keys } from './keys.ts';

interface OfTenant {
  readonly tenant: string;
}

/** What becomes invalid when something happens; whoever makes it happen only says so. */
export const invalidations = defineInvalidations({
  // The weights of a match are settings, so a reconciliation depends on them.
  settingsSaved: ({ tenant }: OfTenant) => [keys.settings({ tenant }), keys.tag(tenant, 'recon')],
  synced: ({ tenant }: OfTenant) => [keys.all(tenant)],
  webhookReceived: ({ tenant }: OfTenant) => [keys.all(tenant)],
  reconciliationConfirmed: ({ tenant }: OfTenant) => [keys.tag(tenant, 'recon')],
  clientLinked: ({ tenant }: OfTenant) => [keys.tag(tenant, 'recon')],
});
