import type { Figure } from './figure.ts';

/** What can be said of a run. */
export interface AreaOptions {
  /** Rows of the table that is measured over, for areas that have one. */
  readonly rows?: number;
}

/** Measures one area. `stop` of what it started has run when it resolves. */
export type Area = (options?: AreaOptions) => Promise<readonly Figure[]>;
