import { parseArgs } from 'node:util';
import { areaNamed } from './areas.ts';
import { asJson, asTable } from './runner/print.ts';

try {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean', default: false }, rows: { type: 'string' } },
    allowPositionals: true,
  });
  if (positionals.length > 1) throw new RangeError('Give one area');
  const area = await areaNamed(positionals[0])();
  const figures = await area(values.rows === undefined ? {} : { rows: countOf(values.rows) });
  console.log(values.json ? asJson(figures) : asTable(figures));
} catch (error) {
  const usage =
    error instanceof RangeError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(usage ? `${(error as Error).message}\nusage: bench <area> [--json] [--rows=100k]` : error);
  process.exitCode = 1;
}

/** `100k`, `5m` or a number. */
function countOf(text: string): number {
  const [, digits, unit] = /^(\d+)([km]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new RangeError(`--rows takes 100k, 1m, 5m; got ${text}`);
  return Number(digits) * (unit === 'k' ? 1_000 : unit === 'm' ? 1_000_000 : 1);
}
