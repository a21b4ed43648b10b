import type { SqlExecutor } from '@cachekit/core';
import type { Weights } from './matching/match.ts';

/** What an office has chosen. */
export interface Settings {
  readonly weights: Weights;
}

/** A CPF is enough, and so is a name or a contact; an amount only helps. */
export const defaultSettings: Settings = {
  weights: { cpf: 70, name: 50, contact: 50, amount: 20, enough: 50 },
};

export async function readSettings(sql: SqlExecutor, tenant: string): Promise<Settings> {
  const { rows } = await sql.query<Settings>('select weights from tenant_settings where tenant_id = $1', [
    tenant,
  ]);
  return rows[0] ?? defaultSettings;
}

/** @returns Whether there is such an office. */
export async function saveSettings(
  sql: SqlExecutor,
  tenant: string,
  { weights }: Settings,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into tenant_settings (tenant_id, weights) select id, $2::jsonb from tenants where id = $1
     on conflict (tenant_id) do update set weights = excluded.weights`,
    [tenant, JSON.stringify(weights)],
  );
  return rowCount > 0;
}

/** The weights in what somebody sent; `undefined` if one is missing or none. */
export function weightsIn(sent: Record<string, unknown>): Weights | undefined {
  const weights = { ...defaultSettings.weights };
  for (const name of Object.keys(weights) as (keyof Weights)[]) {
    const weight = sent[name];
    if (typeof weight !== 'number' || !(weight >= 0 && weight <= 100)) return undefined;
    Object.assign(weights, { [name]: weight });
  }
  return weights;
}
