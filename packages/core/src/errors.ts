/** Every code an error of CacheKit can carry. Each has an anchor in `docs/errors.md`. */
export type CacheKitErrorCode =
  | 'INVALID_CONFIGURATION'
  | 'INVALID_ARGUMENT'
  | 'LOAD_TIMEOUT'
  | 'TIER_FAILED'
  | 'REDIS_UNAVAILABLE'
  | 'CACHE_CLOSED'
  | 'UNSUPPORTED_BY_CLIENT'
  | 'LOCK_LOST'
  | 'RATE_LIMIT_STORE'
  | 'MISSING_UNIQUE_INDEX'
  | 'LAYER_VIOLATION'
  | 'VIEW_DRIFT'
  | 'REFRESH_FAILED'
  | 'REMOTE_SCHEMA_DRIFT';

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

  /** As JSON has it, in `health()` or a log: without stack and cause, and with the message, which errors by themselves lack. */
  toJSON(): object {
    return { ...this, message: this.message };
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
 * Refuses options that nobody reads, which are nearly always misspelt ones, and what is no object of options.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` that names the unknown option and those that exist.
 */
export function assertKnownOptions(factory: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigurationError(
      `${factory}: takes an object with ${known.join(', ')}; got ${String(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ConfigurationError(`${factory}: unknown option "${name}"; it takes ${known.join(', ')}`);
    }
  }
}

/** What can be gone through, as a list; a text cannot. @throws ArgumentError `INVALID_ARGUMENT` */
export function listed<T>(what: string, given: Iterable<T>): readonly T[] {
  if (Array.isArray(given)) return given;
  if (typeof given === 'object' && given !== null && Symbol.iterator in given) return [...given];
  throw new ArgumentError(`${what}: give a list; got ${typeof given}`);
}

/** What a factory calls a wrong option is a wrong argument in a call. */
export function asArgument<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new ArgumentError(messageOf(error));
  }
}

/** A load that took longer than `timeout.hard`, in this process or in the one that was waited for. */
export class LoadTimeoutError extends CacheKitError<'LOAD_TIMEOUT'> {
  readonly key: string;
  readonly timeoutMs: number;

  constructor(key: string, timeoutMs: number) {
    super('LOAD_TIMEOUT', `Loading "${key}" took longer than ${timeoutMs} ms`);
    this.key = key;
    this.timeoutMs = timeoutMs;
  }
}

/**
 * A call that did not reach the remote tier. `cause` is what the tier said.
 *
 * Reads never reject with it: the loader answers. Writes and invalidations do, because they were not carried out.
 */
export class TierError extends CacheKitError<'TIER_FAILED'> {
  readonly tier: string;
  readonly operation: string;

  constructor(tier: string, operation: string, cause: unknown) {
    super('TIER_FAILED', `The tier "${tier}" did not answer ${operation}: ${messageOf(cause)}`, { cause });
    this.tier = tier;
    this.operation = operation;
  }
}

/**
 * A lock that expired, or is about to, while its holder still works under it.
 *
 * It is the reason with which `Lease.signal` is aborted, and what a fenced write is refused with.
 */
export class LockLostError extends CacheKitError<'LOCK_LOST'> {
  readonly key: string;
  readonly fencingToken: number;

  constructor(key: string, fencingToken: number, why: string) {
    super('LOCK_LOST', `The lock "${key}" is lost: ${why}`);
    this.key = key;
    this.fencingToken = fencingToken;
  }
}

/** A call of a cache after its `close()`. */
export class CacheClosedError extends CacheKitError<'CACHE_CLOSED'> {
  constructor() {
    super('CACHE_CLOSED', 'The cache is closed');
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
