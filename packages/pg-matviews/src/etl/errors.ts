import { CacheKitError } from '@cachekit/core';

/** The remote relation or the local table no longer fit each other; nothing was copied. */
export class RemoteSchemaDriftError extends CacheKitError<'REMOTE_SCHEMA_DRIFT'> {
  readonly etl: string;
  /** One sentence per column. */
  readonly differences: readonly string[];

  constructor(etl: string, differences: readonly string[]) {
    super('REMOTE_SCHEMA_DRIFT', `The copy "${etl}" does not fit any more: ${differences.join('; ')}`);
    this.etl = etl;
    this.differences = differences;
  }
}
