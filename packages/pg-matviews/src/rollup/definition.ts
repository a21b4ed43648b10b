import { ConfigurationError } from '@cachekit/core';
import type { ViewDefinition } from '../view.ts';
import type { Rollup } from './compiled-rollup.ts';

/** The rollup part of a definition. */
export function assertRollup(view: ViewDefinition): Rollup {
  if (view.rollup === undefined)
    throw new ConfigurationError(`View "${view.name}" is no rollup; use defineRollup`);
  return view.rollup;
}
