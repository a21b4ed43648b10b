import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigurationError } from '@cachekit/core';
import type { ViewDefinition } from '../view.ts';

/** What the configuration file exports, by name or as the members of its default export. */
export interface ViewsConfig {
  readonly views: readonly ViewDefinition[];
  /** Where the views live. */
  readonly schema: string | undefined;
  /** The file. */
  readonly path: string;
}

const names = ['ts', 'mts', 'js', 'mjs', 'cjs'].map((ending) => `cachekit-views.config.${ending}`);

/**
 * Finds and loads the configuration. Node takes the types out of TypeScript by itself from 22.18 on.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION`
 */
export async function loadConfig(folder: string, given: string | undefined): Promise<ViewsConfig> {
  const path =
    given === undefined
      ? names.map((name) => join(folder, name)).find((candidate) => existsSync(candidate))
      : isAbsolute(given)
        ? given
        : join(folder, given);
  if (path === undefined) {
    throw new ConfigurationError(
      `There is no ${names[0]} (or .mts, .js, .mjs, .cjs) in ${folder}; say --config <file>`,
    );
  }
  if (!existsSync(path)) throw new ConfigurationError(`There is no file ${path}`);
  const module = await loaded(path);
  const inner = module.default;
  const found = isObject(inner) && !Array.isArray(inner) ? { ...inner, ...module } : { ...module };
  const views = found.views ?? (Array.isArray(inner) ? inner : undefined);
  const { schema } = found;
  if (!Array.isArray(views) || !views.every((view) => isObject(view) && 'kind' in view && 'query' in view)) {
    throw new ConfigurationError(
      `${path} exports no \`views\`: a list of what defineView() and defineRollup() give`,
    );
  }
  if (schema !== undefined && typeof schema !== 'string') {
    throw new ConfigurationError(`${path}: schema is a name`);
  }
  // Definitions are checked where they were made.
  return { views: views as readonly ViewDefinition[], schema, path };
}

async function loaded(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const { code, message } = isObject(error) ? (error as { code?: unknown; message?: unknown }) : {};
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
      throw new ConfigurationError(
        `This Node cannot load ${path}: it takes TypeScript from 22.18 on; use that, or write the configuration in JavaScript`,
      );
    }
    throw new ConfigurationError(`${path} cannot be loaded: ${String(message ?? error)}`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
