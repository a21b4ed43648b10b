import { pgExecutor } from '@cachekit/core/postgres';
import { createEtl, type Etl, type EtlOptions } from '../../../src/etl/index.ts';
import type { TestDatabase } from '../database.ts';

/** The smallest remote database of a layered copy: the view's own table, one that only adds to it, one it looks up. */
export const remoteSchema = `
  create table contacts (id int primary key, name text, updated_at timestamp not null default (now() at time zone 'UTC'));
  create table talks (id int primary key, contact_id int, status int not null default 0,
    updated_at timestamp not null default (now() at time zone 'UTC'));
  create table messages (id int generated always as identity primary key, talk_id int not null, body text,
    updated_at timestamptz not null default now());
  create index on messages (talk_id);
  create index on talks (contact_id);
  create view vw_stats as select talk_id, count(*)::int as messages, jsonb_agg(body order by id) as bodies from messages group by talk_id;
  create view vw_talks as select t.id, t.status, c.name as contact, coalesce(s.messages, 0) as messages, s.bodies
    from talks t left join contacts c on c.id = t.contact_id left join vw_stats s on s.talk_id = t.id;
`;

export const sources: EtlOptions['sources'] = {
  talks: { key: 'id', changed: { column: 'updated_at' } },
  messages: { key: 'talk_id', changed: { column: 'updated_at' } },
  contacts: {
    through: { table: 'talks', match: 'contact_id', key: 'id' },
    changed: { column: 'updated_at' },
  },
};

/** The same, told by a slot; `messages` then needs REPLICA IDENTITY FULL. */
export const slotSources: EtlOptions['sources'] = Object.fromEntries(
  Object.entries(sources).map(([name, source]) => [name, { ...source, changed: 'slot' as const }]),
);

/** Slots are shared by all databases of a server. */
export const uniqueSlot = (): string => `ck_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;

/** A copy of `vw_talks` in `talks_copy`. */
export function copyOf(remote: TestDatabase, local: TestDatabase, options: Partial<EtlOptions> = {}): Etl {
  return createEtl({
    name: 'talks',
    remote: pgExecutor(remote.pool),
    local: pgExecutor(local.pool),
    from: 'vw_talks',
    to: 'talks_copy',
    key: 'id',
    sources,
    ...options,
  });
}

interface Row {
  readonly id: number;
  readonly row: string;
}

/** The keys that are missing, too many, or not the same in the copy. */
export async function wrongKeys(
  remote: TestDatabase,
  local: TestDatabase,
): Promise<{ missing: number[]; surplus: number[]; stale: number[] }> {
  const columns = 'id, status, contact, messages, bodies';
  const select = (table: string): string =>
    `select id, row(${columns})::text as row from ${table} order by id`;
  const theirs = new Map((await remote.rows<Row>(select('vw_talks'))).map(({ id, row }) => [id, row]));
  const ours = new Map((await local.rows<Row>(select('talks_copy'))).map(({ id, row }) => [id, row]));
  return {
    missing: [...theirs.keys()].filter((id) => !ours.has(id)),
    surplus: [...ours.keys()].filter((id) => !theirs.has(id)),
    stale: [...theirs].filter(([id, row]) => ours.has(id) && ours.get(id) !== row).map(([id]) => id),
  };
}

export const nothingWrong = { missing: [], surplus: [], stale: [] };
