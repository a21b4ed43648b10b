import type { SqlExecutor } from '@cachekit/core';
import type { ExistingView } from '../migrate/existing.ts';
import type { Defect } from './finding.ts';

/** A query with something mended in it, and why. */
export interface Rewriting {
  readonly defect: Defect;
  readonly reason: string;
  readonly query: string;
}

/** A view whose query is looked at. */
export interface ReadQuery {
  readonly view: ExistingView;
  /** As it is after the rewritings so far. */
  readonly query: string;
  /** A materialized view reads it, or it is one. */
  readonly stored: boolean;
  /** The time zone of sessions that say none. */
  readonly zone: string;
}

/** Looks for one mistake in a query. Several rewritings follow each other, each with those before in it. */
export type Reader = (sql: SqlExecutor, read: ReadQuery) => Promise<readonly Rewriting[]>;
