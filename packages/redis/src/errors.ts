import { CacheKitError } from '@cachekit/core';

/**
 * Redis did not answer in time, or there is no connection to it.
 *
 * `sent` tells what a caller may do: `false` means that the command never left this process and never will, so it is
 * safe to repeat; `true` means that the server may still carry it out.
 */
export class RedisUnavailableError extends CacheKitError<'REDIS_UNAVAILABLE'> {
  /** Name of the command or script. */
  readonly operation: string;
  readonly sent: boolean;

  constructor(operation: string, detail: { message: string; sent: boolean; cause?: unknown }) {
    super(
      'REDIS_UNAVAILABLE',
      `Redis, ${operation}: ${detail.message}`,
      detail.cause === undefined ? undefined : { cause: detail.cause },
    );
    this.operation = operation;
    this.sent = detail.sent;
  }
}

/** A feature was asked for that this client cannot have. Thrown at construction. */
export class UnsupportedByClientError extends CacheKitError<'UNSUPPORTED_BY_CLIENT'> {
  readonly client: string;
  readonly feature: string;

  constructor(client: string, feature: string) {
    super('UNSUPPORTED_BY_CLIENT', `${client} cannot do ${feature}`);
    this.client = client;
    this.feature = feature;
  }
}
