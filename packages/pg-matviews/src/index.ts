export { type ApplyOptions, createViews, type Views, type ViewsOptions } from './catalog.ts';
export {
  LayerViolationError,
  MissingUniqueIndexError,
  RefreshFailedError,
  ViewDriftError,
} from './errors.ts';
export type { ViewDrift } from './migrate/drift.ts';
export type { PlanAction, PlanEntry } from './migrate/plan.ts';
export {
  defineView,
  type RefreshMode,
  type ViewDefinition,
  type ViewKind,
  type ViewOptions,
} from './view.ts';
export type { IndexColumn, ViewIndex, ViewIndexOptions } from './view-index.ts';
export type { Compilable } from './view-query.ts';
export type { ViewSource, ViewSourceOptions } from './view-source.ts';
