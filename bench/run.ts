import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { areaNamed } from './areas.ts';
import { asJson, asResults, asTable } from './runner/print.ts';
import { notedVersions } from './runner/versions.ts';

try {
  const { values, positionals } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      rows: { type: 'string' },
      save: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  if (positionals.length > 1) throw new RangeError('Give one area');
  const area = await areaNamed(positionals[0])();
  const figures = await area(values.rows === undefined ? {} : { rows: countOf(values.rows) });
  console.log(values.json ? asJson(figures) : asTable(figures));
  if (values.save) {
    const command = `pnpm bench ${process.argv.slice(2).join(' ')}`;
    const results = new URL(`results/${positionals[0]}.json`, import.meta.url);
    writeFileSync(results, asResults(command, notedVersions(), figures));
  }
} catch (error) {
  const usage =
    error instanceof RangeError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(
    usage ? `${(error as Error).message}\nusage: bench <area> [--json] [--save] [--rows=100k]` : error,
  );
  process.exitCode = 1;
}

/** `100k`, `5m` or a number. */
function countOf(text: string): number {
  const [, digits, unit] = /^(\d+)([km]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new RangeError(`--rows takes 100k, 1m, 5m; got ${text}`);
  return Number(digits) * (unit === 'k' ? 1_000 : unit === 'm' ? 1_000_000 : 1);
}
