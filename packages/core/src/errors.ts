/** Every code an error of CacheKit can carry. Each has an anchor in `docs/errors.md`. */
export type CacheKitErrorCode =
  | 'INVALID_CONFIGURATION'
  | 'INVALID_ARGUMENT'
  | 'LOAD_TIMEOUT'
  | 'TIER_FAILED'
  | 'CACHE_CLOSED'
  | 'UNSUPPORTED_BY_CLIENT'
  | 'LOCK_LOST'
  | 'RATE_LIMIT_STORE'
  | 'MISSING_UNIQUE_INDEX'
  | 'LAYER_VIOLATION'
  | 'VIEW_DRIFT'
  | 'REFRESH_FAILED'
  | 'REPLAY_GAP'
  | 'UNAUTHORIZED_STREAM'
  | 'SOURCE_LOST';

/**
 * The one base of the errors that CacheKit makes itself; errors of your loader or driver pass unchanged.
 *
 * Two copies of the package may be installed, so check with {@link isCacheKitError}, not with `instanceof`.
 */
export class CacheKitError<Code extends CacheKitErrorCode = CacheKitErrorCode> extends Error {
  readonly isCacheKitError = true;
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/**
 * Whether `error` comes from CacheKit, and with which code.
 *
 * @example
 * try {
 *   createCache({ memory: { maxEntries: -1 } });
 * } catch (error) {
 *   if (!isCacheKitError(error, 'INVALID_CONFIGURATION')) throw error;
 * }
 */
export function isCacheKitError<Code extends CacheKitErrorCode = CacheKitErrorCode>(
  error: unknown,
  code?: Code,
): error is CacheKitError<Code> {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as { isCacheKitError?: unknown }).isCacheKitError === true &&
    (code === undefined || (error as { code?: unknown }).code === code)
  );
}

/** An option that no factory can work with. Thrown by factories only, at start. */
export class ConfigurationError extends CacheKitError<'INVALID_CONFIGURATION'> {
  constructor(message: string) {
    super('INVALID_CONFIGURATION', message);
  }
}

/** An argument that no call can work with, such as an empty tenant id. */
export class ArgumentError extends CacheKitError<'INVALID_ARGUMENT'> {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message);
  }
}

/**
 * Refuses options that nobody reads, which are nearly always misspelt ones.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` that names the unknown option and those that exist.
 */
export function assertKnownOptions(factory: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ConfigurationError(`${factory}: unknown option "${name}"; it takes ${known.join(', ')}`);
    }
  }
}
