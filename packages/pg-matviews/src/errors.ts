import { CacheKitError } from '@cachekit/core';

/**
 * A view that is to be refreshed CONCURRENTLY has no unique index that PostgreSQL accepts for it.
 *
 * Such an index is unique, valid, over plain columns only (no expression) and over all rows (no WHERE).
 */
export class MissingUniqueIndexError extends CacheKitError<'MISSING_UNIQUE_INDEX'> {
  readonly view: string;
  /** What to put into the definition, as SQL. */
  readonly wanted: string;

  constructor(view: string, wanted: string) {
    super(
      'MISSING_UNIQUE_INDEX',
      `Cannot refresh "${view}" concurrently: it has no unique index over plain columns and all rows; give it one such as ${wanted}`,
    );
    this.view = view;
    this.wanted = wanted;
  }
}

/** A view uses one that is not in a lower layer. */
export class LayerViolationError extends CacheKitError<'LAYER_VIOLATION'> {
  readonly view: string;
  readonly uses: string;

  constructor(view: string, layer: number, uses: string, usedLayer: number) {
    super(
      'LAYER_VIOLATION',
      `View "${view}" (layer ${layer}) uses "${uses}" (layer ${usedLayer}); a view may use lower layers only`,
    );
    this.view = view;
    this.uses = uses;
  }
}

/** Somebody changed views in the database by hand, and applying would undo that. */
export class ViewDriftError extends CacheKitError<'VIEW_DRIFT'> {
  readonly views: readonly string[];

  constructor(views: readonly string[]) {
    super(
      'VIEW_DRIFT',
      `Changed in the database since they were applied: ${views.map((view) => `"${view}"`).join(', ')}; apply with { drift: "replace" } to put the definitions back`,
    );
    this.views = views;
  }
}

/** A refresh that was asked for did not happen in time, or the view it is about was never applied. */
export class RefreshFailedError extends CacheKitError<'REFRESH_FAILED'> {
  readonly view: string;

  constructor(view: string, reason: string, options?: { cause?: unknown }) {
    super('REFRESH_FAILED', `Cannot refresh "${view}": ${reason}`, options);
    this.view = view;
  }
}
