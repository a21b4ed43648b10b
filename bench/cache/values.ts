import { defineKeys, resource } from '@cachekit/core';

/** What is cached: calls as an API answers them, of 90 B of JSON each; one long text would cost next to nothing to parse. */
export interface Value {
  readonly calls: readonly {
    readonly id: string;
    readonly at: number;
    readonly seconds: number;
    readonly from: string;
    readonly answered: boolean;
  }[];
}

/** A value of so many calls: 2 are about 200 B, 110 about 10 KB. */
export function callsOf(count: number): Value {
  const calls = Array.from({ length: count }, (_, i) => ({
    id: `call-${i}`,
    at: 1_700_000_000_000 + i * 61_000,
    seconds: (i * 7) % 600,
    from: '+5511987654321',
    answered: i % 3 > 0,
  }));
  return { calls };
}

const keys = defineKeys({
  scope: 'tenant',
  resources: { value: resource<Value, { id: string }>({ ttl: '1h' }) },
});

/** The key of a value of ours. */
export const keyOf = (id: string) => keys.value({ tenant: 'acme', id });

/** How many different values are read in turn. */
export const count = 512;

export const ids: readonly string[] = Array.from({ length: count }, (_, index) => String(index));

/** @throws Error where there is none. */
export function parsed(text: string | null): Value {
  if (text === null) throw missed();
  return JSON.parse(text) as Value;
}

/** The loader where all is there: a load would measure something else than a hit, so it ends the run. */
export async function missing(): Promise<Value> {
  throw missed();
}

/** What ends a run that was to hit. */
function missed(): Error {
  return new Error('This was to be a hit');
}
