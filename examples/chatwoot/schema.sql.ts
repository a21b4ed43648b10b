/**
 * The tables of Chatwoot that the views and the CRM read, with its types: ids are 32 bits here and 64 there, and times are
 * UTC without a zone. The indexes are Chatwoot's, but for the last, which the copy needs to find changed messages.
 */
export const chatwootSchema = `
create table accounts (id serial primary key, name varchar not null, created_at timestamp(6) not null, updated_at timestamp(6) not null);
create table users (
  id serial primary key, name varchar not null, email varchar,
  created_at timestamp(6) not null, updated_at timestamp(6) not null
);
create table account_users (
  id bigserial primary key, account_id bigint, user_id bigint, role int default 0,
  created_at timestamp(6) not null, updated_at timestamp(6) not null, unique (account_id, user_id)
);
create index on account_users (user_id);
create table teams (id bigserial primary key, name varchar not null, account_id int not null);
create table inboxes (
  id serial primary key, channel_id int not null, account_id int not null, name varchar not null,
  created_at timestamp(6) not null, updated_at timestamp(6) not null, channel_type varchar,
  timezone varchar default 'UTC', csat_survey_enabled boolean default false
);
create table contacts (
  id serial primary key, name varchar default '', email varchar, phone_number varchar, account_id int not null,
  created_at timestamp(6) not null, updated_at timestamp(6) not null, identifier varchar,
  custom_attributes jsonb default '{}', last_activity_at timestamp(6), middle_name varchar default '', last_name varchar default '',
  location varchar default '', country_code varchar default '', blocked boolean not null default false
);
create index on contacts (phone_number, account_id);
create index on contacts (account_id, last_activity_at desc nulls last);
create table conversations (
  id serial primary key, account_id int not null, inbox_id int not null, status int not null default 0, assignee_id int,
  created_at timestamp(6) not null, updated_at timestamp(6) not null, contact_id bigint, display_id int not null,
  contact_last_seen_at timestamp(6), agent_last_seen_at timestamp(6), additional_attributes jsonb default '{}',
  contact_inbox_id bigint, uuid uuid not null default gen_random_uuid(), identifier varchar, last_activity_at timestamp(6) not null,
  team_id bigint, campaign_id bigint, snoozed_until timestamp(6), custom_attributes jsonb default '{}',
  first_reply_created_at timestamp(6), priority int, sla_policy_id bigint, waiting_since timestamp(6), cached_label_list text,
  unique (account_id, display_id)
);
create index on conversations (contact_id);
create index on conversations (inbox_id);
create index on conversations (assignee_id);
create table messages (
  id serial primary key, content text, account_id int not null, inbox_id int not null, conversation_id int not null,
  message_type int not null, created_at timestamp(6) not null, updated_at timestamp(6) not null, private boolean not null default false,
  status int default 0, source_id varchar, content_type int not null default 0, content_attributes json default '{}',
  sender_type varchar, sender_id bigint, external_source_ids jsonb default '{}', additional_attributes jsonb default '{}',
  processed_message_content text, sentiment jsonb default '{}'
);
create index on messages (conversation_id);
create index on messages (created_at);
create table csat_survey_responses (
  id bigserial primary key, account_id bigint not null, conversation_id bigint not null, message_id bigint not null unique,
  rating int not null, feedback_message text, contact_id bigint not null, assigned_agent_id bigint,
  created_at timestamp(6) not null, updated_at timestamp(6) not null
);
create index on csat_survey_responses (conversation_id);
create index on messages (updated_at);
`;
