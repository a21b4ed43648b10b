import type { SqlExecutor } from '@cachekit/core';
import { quoteIdentifier, quoteLiteral } from '@cachekit/core/postgres';

/** The schema of the views, then `public`, then others; temporary objects last, where they hide nothing. */
export function searchPath(schema: string, others: readonly string[] = []): string {
  return [...[...new Set([schema, 'public', ...others])].map(quoteIdentifier), 'pg_temp'].join(', ');
}

/**
 * Fixes for the rest of the transaction everything that definitions and their deparsed text depend on, so that a
 * view means the same whoever applies it.
 */
export function sessionSql(schema: string, lockTimeoutMs: number): string {
  return setSql(settingsOf(schema, lockTimeoutMs));
}

function settingsOf(schema: string, lockTimeoutMs: number): readonly (readonly [string, string])[] {
  return [
    ['search_path', searchPath(schema)],
    ['lock_timeout', `${Math.ceil(lockTimeoutMs)}ms`],
    // Meant for statements of an application; filling a large view is one statement.
    ['statement_timeout', '0'],
    ['idle_in_transaction_session_timeout', '0'],
    // A view that would be filled with the rows that its role may see is not filled at all.
    ['row_security', 'off'],
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, YMD'],
    ['IntervalStyle', 'postgres'],
    ['extra_float_digits', '1'],
    ['bytea_output', 'hex'],
    ['standard_conforming_strings', 'on'],
    ['transform_null_equals', 'off'],
    ['quote_all_identifiers', 'off'],
    ['client_min_messages', 'warning'],
  ];
}

function setSql(settings: readonly (readonly [string, string])[]): string {
  return `SELECT ${settings.map(([name, value]) => `set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, true)`).join(', ')}`;
}

/** Statements for before and after others in a transaction that goes on after them, with the settings it had before. */
export function keptSettingsSql(): { readonly before: string; readonly after: string } {
  const names = settingsOf('public', 0).map(([name]) => quoteLiteral(name));
  const each = `FROM unnest(ARRAY[${names.join(', ')}]) s (name)`;
  const kept = `'cachekit.kept_' || lower(s.name)`;
  return {
    before: `SELECT set_config(${kept}, current_setting(s.name), true) ${each}`,
    after: `SELECT set_config(s.name, current_setting(${kept}), true) ${each}`,
  };
}

/** Runs `run` in a transaction that goes on after it, with the settings it had before. */
export async function withSettingsKept<T>(sql: SqlExecutor, run: () => Promise<T>): Promise<T> {
  const names = settingsOf('public', 0).map(([name]) => name);
  const before: [string, string][] = [];
  for (const name of names) {
    const { rows } = await sql.query<{ value: string }>('SELECT current_setting($1) AS value', [name]);
    before.push([name, rows[0]?.value ?? '']);
  }
  const result = await run();
  await sql.query(setSql(before));
  return result;
}

/** Runs `run` with another search path and puts the old one back. */
export async function withSearchPath<T>(sql: SqlExecutor, path: string, run: () => Promise<T>): Promise<T> {
  const { rows } = await sql.query<{ path: string }>(`SELECT current_setting('search_path') AS path`);
  await sql.query(`SELECT set_config('search_path', $1, true)`, [path]);
  const result = await run();
  await sql.query(`SELECT set_config('search_path', $1, true)`, [rows[0]?.path]);
  return result;
}
