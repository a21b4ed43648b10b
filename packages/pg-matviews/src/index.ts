export { type ApplyOptions, createViews, type Views, type ViewsOptions } from './catalog.ts';
export {
  LayerViolationError,
  MissingUniqueIndexError,
  RefreshFailedError,
  ViewDriftError,
} from './errors.ts';
export type { PlanAction } from './migrate/decide.ts';
export type { ViewDrift } from './migrate/drift.ts';
export type { PlanEntry } from './migrate/plan.ts';
export type { RefreshedEvent, RefresherEvents, ViewChange } from './refresh/events.ts';
export {
  createRefresher,
  type Freshness,
  type Refresher,
  type RefresherOptions,
  type WaitOptions,
} from './refresh/refresher.ts';
export { type RefreshSourceOptions, refreshSource } from './refresh/source.ts';
export type { ViewStatus } from './refresh/status.ts';
export type { QueryReference } from './sql/references.ts';
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
