import { progressLine } from '../../progress.ts';
import { timeText } from '../../table.ts';
import { readActiveContacts } from '../contacts.ts';
import type { Scene } from '../instances.ts';
import { type Cost, costOf } from '../meter.ts';
import { timeUntil } from '../time-until.ts';
import { printTable } from './scene.ts';

const company = '1';

/** Contacts are there before anybody asks, and one entry is found by id and by phone. */
export async function showContacts({ crms, chatwoot }: Scene): Promise<void> {
  const [one, two] = crms;
  const contacts = await readActiveContacts(chatwoot, company, 1_000);
  const progress = progressLine();
  console.log();
  const preload = await costOf(one, () =>
    one.preload(company, contacts.length, ({ done, total }) =>
      progress('preload', done === total ? '100 %' : `${done} of ${total} contacts`),
    ),
  );
  if (process.stdout.isTTY) console.log();
  const byPhone = (crm = one) =>
    costOf(crm, () => Promise.all(contacts.map(({ phone }) => crm.reads.contactByPhone(company, phone))));
  const byId = (crm = one) =>
    costOf(crm, () => Promise.all(contacts.map(({ id }) => crm.reads.contact(company, id))));
  const row = (what: string, { queries, roundTrips, tookMs }: Cost): string[] => [
    what,
    String(queries),
    String(roundTrips),
    timeText(tookMs),
  ];
  printTable(
    `${contacts.length} contacts of one company`,
    ['what', 'queries', 'round trips to Redis', 'took'],
    [
      row('preloaded in instance 1, in batches of 100', preload),
      row('each by phone, instance 1', await byPhone()),
      row('each by id, instance 1', await byId()),
      row('each by phone, instance 2', await byPhone(two)),
      row('each by id, instance 2', await byId(two)),
    ],
  );

  const { id, phone } = contacts[0] as (typeof contacts)[number];
  const moved = '+19990000001';
  await two.reads.contactByPhone(company, moved);
  await chatwoot.query('update contacts set phone_number = $1 where id = $2', [moved, id]);
  const tookMs = await timeUntil(async () => (await two.reads.contactByPhone(company, moved))?.id === id);
  const [before, byItsId] = [
    await two.reads.contactByPhone(company, phone),
    await two.reads.contact(company, id),
  ];
  console.log(
    `\nA contact got another phone by SQL. ${timeText(tookMs)} later the new phone, which had led to nobody, led to it; the old one to` +
      ` ${before === null ? 'nobody' : 'somebody'}; and the entry by its id had ${byItsId?.phone}.`,
  );
}
