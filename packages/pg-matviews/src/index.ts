export {
  type ApplyOptions,
  createViews,
  type LockOptions,
  type UninstallOptions,
  uninstallViews,
  type Views,
  type ViewsOptions,
} from './catalog.ts';
export { createDoctor, type Doctor, type DoctorOptions } from './doctor/doctor.ts';
export type { RefreshPlan, ViewExplanation } from './doctor/explain.ts';
export { type Defect, defects, type Finding, type FindingLevel } from './doctor/finding.ts';
export type { IndexAdvice } from './doctor/index-advice.ts';
export {
  LayerViolationError,
  MissingUniqueIndexError,
  RefreshFailedError,
  ViewDriftError,
} from './errors.ts';
export type { PlanAction } from './migrate/decide.ts';
export type { ViewDrift } from './migrate/drift.ts';
export type { GrantOptions } from './migrate/grants.ts';
export type { PlanEntry } from './migrate/plan.ts';
export { createRefresher } from './refresh/create-refresher.ts';
export type { RefreshedEvent, RefresherEvents, ViewChange } from './refresh/events.ts';
export { viewOpenMetrics } from './refresh/open-metrics.ts';
export { type PgCronOptions, type PgCronSchedule, pgCronScript } from './refresh/pg-cron.ts';
export type {
  Freshness,
  Reconciliation,
  Refresher,
  RefresherOptions,
  RefreshOptions,
  WaitOptions,
} from './refresh/refresher.ts';
export type { ViewScheduleOptions } from './refresh/schedule.ts';
export { type RefreshSourceOptions, refreshSource } from './refresh/source.ts';
export type { ViewRun, ViewStatus, ViewTotals } from './refresh/status.ts';
export type { Rollup } from './rollup/compiled-rollup.ts';
export type { RollupKey } from './rollup/key.ts';
export { type Bucket, type BucketOptions, type BucketUnit, bucket } from './rollup/key.ts';
export {
  avg,
  count,
  countDistinct,
  Measure,
  type MeasureKind,
  max,
  min,
  type OfColumn,
  sum,
} from './rollup/measure.ts';
export { defineRollup, type RollupsOf, rollupsOf } from './rollup/rollup.ts';
export type {
  DerivedColumn,
  RollupDefinition,
  RollupDerived,
  RollupDimension,
  RollupKeys,
  RollupMeasures,
  RollupOptions,
  RollupScope,
} from './rollup/rollup-options.ts';
export type { InferDatabase, RollupRow } from './rollup/row.ts';
export type { SqlType, ValueOf } from './rollup/sql-type.ts';
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
