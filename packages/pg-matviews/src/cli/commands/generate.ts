import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigurationError } from '@cachekit/core';
import { keptSettingsSql } from '../../migrate/session.ts';
import type { ExitCode } from '../host.ts';
import { viewTypes } from '../view-types.ts';
import { choicesOf, viewsOf } from './apply.ts';
import { print, type Work } from './work.ts';

const formats = ['sql', 'kysely', 'types'] as const;

/** Writes what other tools take: a script, a migration, types. */
export async function generate(work: Work): Promise<ExitCode> {
  const { line, host, sql, config } = work;
  const [format = 'sql', ...more] = line.names;
  if (!(formats as readonly string[]).includes(format) || more.length > 0) {
    throw new ConfigurationError(`generate takes one of ${formats.join(', ')}; got ${line.names.join(' ')}`);
  }
  const script = format === 'types' ? '' : await viewsOf(work).script(choicesOf(work));
  const text =
    format === 'types'
      ? await viewTypes(sql, config.schema ?? 'public', config.views)
      : format === 'kysely'
        ? kyselyMigration(script)
        : script;
  if (script === '' && format !== 'types' && !line.json)
    host.tell('Nothing to do: the database is as defined.\n');
  if (line.out === undefined) {
    print(work, { format, text }, () => text);
    return 0;
  }
  const path = resolve(host.folder, line.out);
  writeFileSync(path, text);
  print(work, { format, path }, () => `${path}\n`);
  return 0;
}

/** A migration that runs a script; Kysely opens and ends the transaction itself, with those of others in it. */
function kyselyMigration(script: string): string {
  const statements = script.replace(/^BEGIN;\n/, '').replace(/COMMIT;\n$/, '');
  const { before, after } = keptSettingsSql();
  const literal = `${before};\n${statements}${after};\n`
    .replaceAll('\\', '\\\\')
    .replaceAll('`', '\\`')
    .replaceAll('${', '\\${');
  return `import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
${statements === '' ? '  // The database is as defined.\n  void db;' : `  await sql.raw(\`\n${literal}\`).execute(db);`}
}
`;
}
