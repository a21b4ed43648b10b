import { timeText } from '../../table.ts';
import { countedSql } from '../counted.ts';
import { type ImportRow, importNew, type JudgedRow, readVerdicts } from '../import.ts';
import type { Scene } from '../instances.ts';
import { costOf } from '../meter.ts';
import { timeUntil } from '../time-until.ts';
import { printTable } from './scene.ts';

const company = '2';

/** A file of contacts is validated in batches; what was validated is known for half an hour, or until it changes. */
export async function showImport({ crms, chatwoot }: Scene): Promise<void> {
  const [one, two] = crms;
  const file = importFile();
  const plain = countedSql(chatwoot);
  const began = performance.now();
  for (const { phone } of file) await readVerdicts(plain, company, [phone]);
  const rows = [
    ['row by row, without a cache', String(plain.queries), '-', timeText(performance.now() - began)],
  ];

  let judged: readonly JudgedRow[] = [];
  const validate = async (what: string, crm = one): Promise<void> => {
    const { queries, roundTrips, tookMs } = await costOf(crm, async () => {
      judged = await crm.validate(company, file);
    });
    rows.push([what, String(queries), String(roundTrips), timeText(tookMs)]);
  };
  await validate('in batches of 500');
  await validate('the same file again');
  await validate('the same file in instance 2', two);
  printTable(
    `Validation of a file of ${file.length} contacts`,
    ['how', 'queries', 'round trips to Redis', 'took'],
    rows,
  );

  const found = verdictsText(judged);
  const last = judged.findLast(({ verdict }) => verdict === 'new') as JudgedRow;
  const imported = await importNew(chatwoot, company, judged);
  const tookMs = await timeUntil(async () => (await one.validate(company, [last]))[0]?.verdict === 'known');
  const left = (await two.validate(company, file)).filter(({ verdict }) => verdict === 'new').length;
  console.log(
    `\nIt has ${found}. ${imported} were imported by SQL; ${timeText(tookMs)} later ${left} of them were new to instance 2.`,
  );
}

/** A third is there already, some are malformed or in the file twice. */
function importFile(): readonly ImportRow[] {
  return Array.from({ length: 1_000 }, (_, index) => {
    const name = `Import ${index}`;
    // Contacts of company 2 are those whose number leaves 1 when it is divided by 3.
    if (index % 3 === 0) return { name, phone: `+1555${String(3 * index + 1).padStart(7, '0')}` };
    if (index % 20 === 1) return { name, phone: `555-${index}` };
    if (index % 50 === 2) return { name, phone: '+447700900123' };
    return { name, phone: `+44770${String(1_000_000 + index)}` };
  });
}

function verdictsText(rows: readonly JudgedRow[]): string {
  const counts = new Map<string, number>();
  for (const { verdict } of rows) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
}
