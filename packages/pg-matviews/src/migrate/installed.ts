import { ConfigurationError, type SqlExecutor } from '@cachekit/core';

/** A version of what this package keeps in the database. */
export interface Installation {
  /** Counts up with every change of it. */
  readonly version: number;
  /** Workers that know this version or a later one go on with it. */
  readonly oldest: number;
}

/** Begins the name of the part that stands for a schema which was created for views. */
export const schemaPart = 'schema ';

/** What this code installs. Its workers need at least that version; before version 2 none was written down. */
export const packageVersion: Installation = { version: 7, oldest: 1 };

/**
 * What is installed; version 0: nothing.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a newer version is installed that `known` cannot work with.
 */
export async function readInstalled(
  sql: SqlExecutor,
  known: Installation = packageVersion,
): Promise<Installation> {
  const { rows } = await sql.query<{ views: boolean; numbered: boolean }>(
    `SELECT to_regclass('cachekit.view') IS NOT NULL AS views, to_regclass('cachekit.installed') IS NOT NULL AS numbered`,
  );
  if (rows[0]?.views !== true) return { version: 0, oldest: 0 };
  if (!rows[0].numbered) return { version: 1, oldest: 1 };
  const { rows: found } = await sql.query<Installation>(
    `SELECT version, oldest FROM cachekit.installed WHERE part = 'views'`,
  );
  const there = found[0] ?? { version: 1, oldest: 1 };
  if (there.oldest > known.version) {
    throw new ConfigurationError(
      `The views of this database were applied by a newer version of @cachekit/pg-matviews (${there.version}; this one knows ${known.version}); update it here`,
    );
  }
  return there;
}
