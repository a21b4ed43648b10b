/**
 * The tables that the indicators are computed from, as an ORM migrates them: ids are text, times are UTC without a zone,
 * and a transaction keeps the id the bank's aggregator gave it, so that it is stored once however often it is sent.
 */
export const schemaSql = `
create table tenants (
  id text primary key,
  name text not null
);

create table pluggy_accounts (
  id text primary key,
  tenant_id text not null references tenants (id) on delete cascade,
  name text not null
);

create table pluggy_transactions (
  id text primary key,
  tenant_id text not null references tenants (id) on delete cascade,
  pluggy_account_db_id text not null references pluggy_accounts (id) on delete cascade,
  date timestamp(3) not null,
  type text not null check (type in ('CREDIT', 'DEBIT')),
  amount numeric(14, 2) not null,
  description text not null default '',
  ignored boolean not null default false
);
create index idx_pluggy_tx_tenant_date_type on pluggy_transactions (tenant_id, date desc, type);
create index idx_pluggy_tx_tenant_account_date on pluggy_transactions (tenant_id, pluggy_account_db_id, date desc);
`;

/** The tables by their columns, for whoever writes typed queries. */
export interface Tables {
  pluggy_transactions: {
    id: string;
    tenant_id: string;
    pluggy_account_db_id: string;
    date: Date;
    type: 'CREDIT' | 'DEBIT';
    amount: string;
    description: string;
    ignored: boolean;
  };
}
