import type pg from 'pg';

/**
 * Sets up a peer that is an extension, if the server has it; nobody installs one for a bench.
 *
 * @returns Whether the peer is there. What an extension that is there refuses is told on stderr.
 */
export async function withExtension(
  pool: pg.Pool,
  name: string,
  statements: readonly string[],
): Promise<boolean> {
  const { rows } = await pool.query('select from pg_available_extensions where name = $1', [name]);
  if (rows.length === 0) return false;
  try {
    for (const statement of [`create extension if not exists ${name} cascade`, ...statements]) {
      await pool.query(statement);
    }
    return true;
  } catch (error) {
    console.error(`bench: ${name} is left out: ${(error as Error).message}`);
    return false;
  }
}
