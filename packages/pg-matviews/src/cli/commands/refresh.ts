import { ConfigurationError } from '@cachekit/core';
import { createRefresher } from '../../refresh/create-refresher.ts';
import type { RefreshedEvent } from '../../refresh/events.ts';
import type { Reconciliation } from '../../refresh/refresher.ts';
import type { ExitCode } from '../host.ts';
import { agoText, textTable } from '../text-table.ts';
import { assertApplied, namedViews, print, storedKinds, type Work } from './work.ts';

/** What became of one view. */
type Result =
  | Reconciliation
  | {
      readonly view: string;
      readonly freshAsOf: number;
      /** `none`: it was fresh. */
      readonly mode: RefreshedEvent['mode'] | 'none';
      readonly durationMs?: number;
      readonly marks?: number;
    };

/** Refreshes views, one after the other. */
export async function refresh(work: Work): Promise<ExitCode> {
  const { line, sql, config, progress, clock } = work;
  const names = namedViews(work, line.reconcile || line.where.length > 0 ? ['rollup'] : storedKinds);
  const where = whereOf(line.where);
  if (where !== undefined && names.length !== 1) throw new ConfigurationError('--where is for one view');
  if ([where !== undefined, line.marked, line.reconcile].filter(Boolean).length > 1) {
    throw new ConfigurationError('--where, --marked and --reconcile exclude each other');
  }
  await assertApplied(work);
  const refresher = createRefresher({ sql, views: config.views, timeout: { run: line.timeoutMs }, clock });
  const events = new Map<string, RefreshedEvent>();
  refresher.on('refreshed', (event) => events.set(event.view, event));
  const results: Result[] = [];
  for (const [at, name] of names.entries()) {
    progress.step(`${at + 1} of ${names.length}  ${name}`);
    if (line.reconcile) {
      results.push(await refresher.reconcile(name, { timeout: line.timeoutMs }));
      continue;
    }
    const { freshAsOf } = line.marked
      ? await refresher.waitFresh(name, { timeout: line.timeoutMs })
      : await refresher.refresh(name, { timeout: line.timeoutMs, ...(where === undefined ? {} : { where }) });
    const event = events.get(name);
    results.push({
      view: name,
      freshAsOf,
      mode: event?.mode ?? 'none',
      ...(event === undefined ? {} : { durationMs: event.durationMs, marks: event.marks }),
    });
  }
  print(work, results, () =>
    textTable(
      results.map((one) =>
        'healed' in one
          ? [one.view, `${one.groups} groups`, `${one.healed} healed`]
          : [
              one.view,
              one.mode === 'none' ? 'was fresh' : one.mode,
              one.durationMs === undefined ? '' : agoText(one.durationMs),
            ],
      ),
    ),
  );
  return 0;
}

function whereOf(pairs: readonly string[]): Readonly<Record<string, string>> | undefined {
  if (pairs.length === 0) return undefined;
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new ConfigurationError(`--where is key=value, not "${pair}"`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
