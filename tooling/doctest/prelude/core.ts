/** The names an `@example` of `@cachekit/core` may take for granted. */
import { defineKeys, resource } from '@cachekit/core';
import type { Call, Device } from './common.ts';

export type Contact = { id: string; phone: string };

export const ids = ['1', '2'];
export const phone = '+55 11 99999 0000';
export const keys = defineKeys({
  scope: 'tenant',
  resources: {
    devices: resource<Device[]>({ ttl: '5m', tags: ['devices'] }),
    recentCalls: resource<Call[], { limit: number }>({ ttl: '1m', tags: ['calls'] }),
    contact: resource<Contact, { id: string }>({ ttl: '1h' }),
    contactByPhone: resource<string, { phone: string }>({ ttl: '1h' }),
  },
});

export async function loadContacts(wanted: readonly string[]): Promise<Map<string, Contact>> {
  return new Map(wanted.map((id) => [id, { id, phone }]));
}

export async function loadContact(id: string): Promise<Contact> {
  return { id, phone };
}

export async function findContactId(_phone: string): Promise<string> {
  return '1';
}

export type Rates = { etag: string; usd: number };

export async function fetchRates(
  _etag?: string,
): Promise<{ status: number; maxAgeMs: number; rates: Rates }> {
  return { status: 200, maxAgeMs: 60_000, rates: { etag: '"1"', usd: 5 } };
}

export function tenantOf(request: Request): string {
  return request.headers.get('x-tenant') ?? 'acme';
}
