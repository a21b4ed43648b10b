import {
  assertKnownOptions,
  type Clock,
  ConfigurationError,
  type Duration,
  durationMs,
  type SqlExecutor,
  systemClock,
} from '@cachekit/core';
import { parseQualifiedName } from '@cachekit/core/postgres';
import { assertIdentifier } from './identifier.ts';
import { applyLockSql, applyViews, type LockPatience, withPatience } from './migrate/apply.ts';
import type { ViewDrift } from './migrate/drift.ts';
import { type GrantOptions, grantStatements } from './migrate/grants.ts';
import { installationSql } from './migrate/install.ts';
import { packageVersion, readInstalled } from './migrate/installed.ts';
import { type Migration, type PlanEntry, planMigration } from './migrate/plan.ts';
import { sessionSql } from './migrate/session.ts';
import { uninstall } from './migrate/uninstall.ts';
import { assertLayers, inOrder, namedUses } from './order.ts';
import type { ViewDefinition } from './view.ts';

/** Options of {@link createViews}. */
export interface ViewsOptions {
  readonly sql: SqlExecutor;
  /** In any order. */
  readonly views: readonly ViewDefinition[];
  /** Where the views live; created if it is not there. @defaultValue `public` */
  readonly schema?: string;
  /** How long applying waits for locks of others. */
  readonly lock?: LockOptions;
  readonly clock?: Clock;
}

/** How long a change of the database waits for locks of others. */
export interface LockOptions {
  /** One attempt; nobody queues longer behind it. @defaultValue `200ms` */
  readonly timeout?: Duration;
  /** All attempts together. @defaultValue `30s` */
  readonly wait?: Duration;
}

/** Options of {@link Views.apply}, and of a plan or script of the same. */
export interface ApplyOptions {
  /** What to do with views that somebody changed by hand. @defaultValue `refuse` */
  readonly drift?: 'refuse' | 'replace';
  /** Drops views that were applied in this schema once and are defined no more. @defaultValue false */
  readonly prune?: boolean;
}

/** A catalog of views over one database. */
export interface Views {
  /** Each after all it uses, judged by the text of the queries. */
  readonly definitions: readonly ViewDefinition[];
  readonly schema: string;
  /** Says what {@link apply} would do. Changes nothing, and nobody waits for it. */
  plan(options?: ApplyOptions): Promise<readonly PlanEntry[]>;
  /**
   * Brings the database to the definitions: all of it or nothing, by one process at a time.
   *
   * A view that means something else now is dropped and created anew with everything that depends on it, also views
   * that are not of the catalog; indexes, rights, comments, storage options and owners come back. What is stored is
   * filled aside, so readers wait only while the views are exchanged; if it reads another view that is replaced, until it is filled.
   *
   * @returns What was done.
   * @throws ViewDriftError `VIEW_DRIFT` if somebody changed a view by hand and `drift` does not say `replace`.
   * @throws LayerViolationError `LAYER_VIOLATION` if a view uses one that is not in a lower layer, also through views
   * that are not of the catalog.
   * @throws ConfigurationError `INVALID_CONFIGURATION` for a source or column that does not exist.
   * @throws The error of the database, unchanged.
   */
  apply(options?: ApplyOptions): Promise<readonly PlanEntry[]>;
  /** What somebody changed by hand since it was applied; empty also when definitions wait to be applied. */
  check(): Promise<readonly ViewDrift[]>;
  /**
   * What gives roles the rights they need, as a script to be run by the owner after {@link apply}. Once is enough: views that are
   * replaced keep theirs.
   *
   * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option or a name that is none.
   */
  grants(roles: GrantOptions): string;
  /** What {@link apply} would run now, as one script for another tool. Empty if there is nothing to do. */
  script(options?: ApplyOptions): Promise<string>;
}

/**
 * Takes views together, to be applied to a database in the order of their dependencies.
 *
 * Tables of CacheKit itself live in schema `cachekit`, the views in `schema`.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option, two views of one name, views that use
 * each other in a circle, or a view named as a source (views mark those above them by themselves).
 * @throws LayerViolationError `LAYER_VIOLATION`
 * @example
 * const views = createViews({ sql: pgExecutor(pool), views: [callsPerDay] });
 * for (const { view, action } of await views.apply()) console.log(view, action);
 */
export function createViews(options: ViewsOptions): Views {
  assertKnownOptions('createViews', options, ['sql', 'views', 'schema', 'lock', 'clock']);
  const { sql, schema = 'public', clock = systemClock } = options;
  if (typeof sql?.query !== 'function') throw new ConfigurationError('createViews: sql is an SqlExecutor');
  assertIdentifier(schema, 'createViews: schema');
  if (schema === 'cachekit' || schema.startsWith('pg_')) {
    throw new ConfigurationError(`createViews: schema "${schema}" is taken`);
  }
  const patience = patienceOf('createViews', options.lock);
  const definitions = orderedByText(schema, options.views);

  const migration = (choices: ApplyOptions | undefined): Promise<Migration> =>
    sql.transaction(async (transaction) => {
      await transaction.query(sessionSql(schema, patience.timeoutMs));
      await readInstalled(transaction);
      return planMigration(transaction, schema, definitions, choicesOf(choices));
    });
  return {
    definitions,
    schema,
    plan: async (choices) => (await migration(choices)).entries,
    apply: (choices) => applyViews(sql, schema, definitions, choicesOf(choices), patience, clock),
    grants(roles) {
      assertKnownOptions('grants', roles, ['refresher', 'reader']);
      return grantStatements(schema, definitions, roles)
        .map((statement) => `${statement};\n`)
        .join('');
    },
    check: async () => (await migration(undefined)).drifts,
    async script(choices) {
      const { statements } = await migration(choices);
      const { version } = await readInstalled(sql);
      const outdated = version > 0 && version < packageVersion.version;
      if (statements.length === 0 && !outdated) return '';
      const all = [
        sessionSql(schema, patience.timeoutMs),
        applyLockSql,
        ...(version > packageVersion.version ? [] : await installationSql()),
        ...statements,
      ];
      return `BEGIN;\n${all.map((statement) => `${statement};\n`).join('')}COMMIT;\n`;
    },
  };
}

/** Options of {@link uninstallViews}. */
export interface UninstallOptions {
  readonly sql: SqlExecutor;
  readonly lock?: LockOptions;
  readonly clock?: Clock;
}

/**
 * Takes everything that this package ever put into the database out again, all of it or nothing: the views of every catalog,
 * rollups, triggers, state, jobs of pg_cron, and schemas it created that are empty then. Tables of yours, and what other packages
 * of CacheKit keep, stay as they are.
 *
 * Stop refreshers and pipelines before.
 *
 * @returns The views that were dropped.
 * @throws ConfigurationError `INVALID_CONFIGURATION` for an unknown option.
 * @throws The error of the database, unchanged, if something of somebody else depends on a view.
 */
export async function uninstallViews(options: UninstallOptions): Promise<readonly string[]> {
  assertKnownOptions('uninstallViews', options, ['sql', 'lock', 'clock']);
  if (typeof options.sql?.transaction !== 'function')
    throw new ConfigurationError('uninstallViews: sql is an SqlExecutor');
  const patience = patienceOf('uninstallViews', options.lock);
  return withPatience(options.sql, patience, options.clock ?? systemClock, (transaction) =>
    uninstall(transaction, patience),
  );
}

function patienceOf(what: string, lock: LockOptions = {}): LockPatience {
  assertKnownOptions(`${what}: lock`, lock, ['timeout', 'wait']);
  const patience: LockPatience = {
    timeoutMs: durationMs(lock.timeout ?? '200ms', 'lock.timeout'),
    waitMs: durationMs(lock.wait ?? '30s', 'lock.wait'),
  };
  if (patience.timeoutMs === 0) throw new ConfigurationError(`${what}: lock.timeout is more than 0`);
  return patience;
}

function choicesOf(options: ApplyOptions = {}): { replaceDrifted: boolean; prune: boolean } {
  assertKnownOptions('apply', options, ['drift', 'prune']);
  const { drift = 'refuse', prune = false } = options;
  if (drift !== 'refuse' && drift !== 'replace') {
    throw new ConfigurationError(`apply: drift is "refuse" or "replace", not ${JSON.stringify(drift)}`);
  }
  return { replaceDrifted: drift === 'replace', prune };
}

function orderedByText(schema: string, views: readonly ViewDefinition[]): ViewDefinition[] {
  if (!Array.isArray(views)) throw new ConfigurationError('createViews: views is a list of defineView(...)');
  const byName = new Map<string, ViewDefinition>();
  for (const view of views) {
    if (byName.has(view.name))
      throw new ConfigurationError(`createViews: two views are named "${view.name}"`);
    byName.set(view.name, view);
  }
  for (const view of views) {
    for (const { table } of view.sources) {
      const source = parseQualifiedName(table);
      if (!byName.has(source.name) || (source.schema ?? schema) !== schema) continue;
      throw new ConfigurationError(
        view.kind === 'rollup'
          ? `Rollup "${view.name}": "${table}" is a view; give its tables, or sum "${table}" up in a plain view`
          : `View "${view.name}": "${table}" is a view and no source; its refresh marks the views above it by itself`,
      );
    }
  }
  const uses = namedUses(schema, views);
  assertLayers(byName, uses);
  return inOrder([...byName.keys()], (name) => uses.get(name) ?? []).flatMap(
    (name) => byName.get(name) ?? [],
  );
}
