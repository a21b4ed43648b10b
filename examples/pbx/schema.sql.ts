/**
 * The tables of the call centre.
 *
 * `users` are the accounts (the tenants), `number_lists` their campaigns. A call begins as `ringing` and ends as
 * `completed` or `failed`; in between, while somebody speaks, it is `answered`.
 */
export const schemaSql = `
create table if not exists users (
  id bigint generated always as identity primary key,
  name text not null
);

create table if not exists devices (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  name text not null,
  status text not null default 'offline' check (status in ('online', 'offline')),
  -- The pairing it came by: agreeing twice adds one device.
  pairing_id uuid unique
);
create index if not exists devices_user on devices (user_id);

create table if not exists number_lists (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  name text not null
);
create index if not exists number_lists_user on number_lists (user_id);

create table if not exists calls (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id) on delete cascade,
  device_id bigint references devices (id) on delete set null,
  campaign_id bigint references number_lists (id) on delete set null,
  phone_number text not null,
  status text not null check (status in ('ringing', 'answered', 'completed', 'failed')),
  start_time timestamptz not null default clock_timestamp(),
  duration integer check (duration >= 0)
);
create index if not exists calls_user_time on calls (user_id, start_time desc);
create index if not exists calls_device_time on calls (device_id, start_time);
create index if not exists calls_campaign_time on calls (campaign_id, start_time);
`;
