import { createDoctor, type Defect, type DoctorOptions, type Finding } from '@cachekit/pg-matviews';
import { expect } from 'vitest';
import type { TestDatabase } from '../database.ts';

/** What a doctor finds of a defect, about things whose name holds `object`. */
export async function findingsOf(
  database: TestDatabase,
  defect: Defect,
  object: string,
  options: Partial<DoctorOptions> = {},
): Promise<readonly Finding[]> {
  const found = await createDoctor({ sql: database.sql, ...options }).examine();
  return found.filter((one) => one.defect === defect && one.object.includes(object));
}

/**
 * The finding of a defect that was made on purpose; when this resolves, the SQL it prints was run and the finding is
 * gone.
 */
export async function mended(
  database: TestDatabase,
  defect: Defect,
  object: string,
  options: Partial<DoctorOptions> = {},
): Promise<Finding> {
  const [found, ...others] = await findingsOf(database, defect, object, options);
  if (found === undefined) {
    const all = await createDoctor({ sql: database.sql, ...options }).examine();
    throw new Error(`${defect} of ${object} was not found, but ${JSON.stringify(all, null, 1)}`);
  }
  expect(others).toEqual([]);
  expect(found.mend.length).toBeGreaterThan(0);
  // As in a session of the user, with its search path and settings.
  const session = await database.client();
  for (const statement of found.mend) await session.query(statement);
  expect(await findingsOf(database, defect, object, options)).toEqual([]);
  return found;
}
