/**
 * The tables of the application, as an ORM migrates them with their composite indexes: ids are text, times are UTC without a
 * zone, and a transaction keeps the id the bank's aggregator gave it, so that it is stored once however often it is sent.
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
  payer_name text,
  payer_cpf text,
  ignored boolean not null default false
);
create index idx_pluggy_tx_tenant_date_type on pluggy_transactions (tenant_id, date desc, type);
create index idx_pluggy_tx_tenant_account_date on pluggy_transactions (tenant_id, pluggy_account_db_id, date desc);

create table tenant_settings (
  tenant_id text primary key references tenants (id) on delete cascade,
  weights jsonb not null
);

create table client_mappings (
  tenant_id text not null references tenants (id) on delete cascade,
  payer_cpf text not null,
  customer_id text not null,
  primary key (tenant_id, payer_cpf)
);
create index idx_client_mapping_tenant_customer on client_mappings (tenant_id, customer_id);

create table reconciliation_records (
  transaction_id text primary key references pluggy_transactions (id) on delete cascade,
  tenant_id text not null references tenants (id) on delete cascade,
  customer_id text not null,
  status text not null
);
create index idx_recon_tenant_status on reconciliation_records (tenant_id, status);
`;

/** What the indicators are computed from, by its columns, for whoever writes typed queries. */
export interface Tables {
  pluggy_transactions: {
    id: string;
    tenant_id: string;
    pluggy_account_db_id: string;
    date: Date;
    type: 'CREDIT' | 'DEBIT';
    amount: string;
    description: string;
    payer_name: string | null;
    payer_cpf: string | null;
    ignored: boolean;
  };
}
