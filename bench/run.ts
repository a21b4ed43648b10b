import { parseArgs } from 'node:util';
import { areaNamed } from './areas.ts';
import { asJson, asTable } from './runner/print.ts';

try {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  if (positionals.length > 1) throw new RangeError('Give one area');
  const area = await areaNamed(positionals[0])();
  const figures = await area();
  console.log(values.json ? asJson(figures) : asTable(figures));
} catch (error) {
  const usage =
    error instanceof RangeError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(usage ? `${(error as Error).message}\nusage: bench <area> [--json]` : error);
  process.exitCode = 1;
}
