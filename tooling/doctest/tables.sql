create table devices (id bigint primary key, user_id bigint not null, name text not null, online boolean not null default false);
create table calls (
  id bigint primary key,
  user_id bigint not null,
  device_id bigint references devices,
  status text not null default 'ringing',
  start_time timestamptz not null default now()
);
insert into devices values (1, 7, 'Desk 1', true), (2, 7, 'Desk 2', false);
insert into calls (id, user_id, device_id, status) values (1, 7, 1, 'answered'), (2, 7, 2, 'missed');
