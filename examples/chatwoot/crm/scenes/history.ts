import { timeText } from '../../table.ts';
import type { Scene } from '../instances.ts';
import { keys } from '../keys.ts';
import { costOf } from '../meter.ts';
import { writeMessage } from '../replay.ts';
import { timeUntil } from '../time-until.ts';
import type { Chat } from '../trace.ts';
import { printTable, sourcesText } from './scene.ts';

/** Three histories of a chat. */
const parts = ['2026-01-01', '2026-03-01', '2026-06-01'].map((fromDate) => ({ limit: 20, fromDate }));

/** A message that somebody writes drops the histories of its chat in both instances, and of no other. */
export async function showHistory({ crms, chatwoot, chats }: Scene): Promise<void> {
  const one = chats[0] as Chat;
  const other = chats.find(({ id, company }) => id !== one.id && company === one.company) as Chat;
  const rows: string[][] = [];
  const readAll = async (what: string): Promise<void> => {
    const costs = [];
    for (const crm of crms) {
      const read = ({ company, id }: Chat) =>
        parts.map((part) => crm.reads.history(company, { chat: id, ...part }));
      costs.push(await costOf(crm, () => Promise.all([one, other].flatMap(read))));
    }
    rows.push([
      what,
      ...costs.map(sourcesText),
      String(costs.reduce((sum, { queries }) => sum + queries, 0)),
    ]);
  };
  await readAll('3 histories of each of two chats of a company');
  await readAll('the same again');
  await writeMessage(chatwoot, one, 'incoming');
  const dropped = parts.map((part) => keys.messages({ tenant: one.company, chat: one.id, ...part }));
  const tookMs = await timeUntil(async () =>
    crms.every(({ cache }) => dropped.every((key) => cache.peek(key) === undefined)),
  );
  rows.push([`a message in one of them, by SQL; dropped after ${timeText(tookMs)}`, '-', '-', '-']);
  await readAll('the same again');
  printTable('Histories of chats', ['what is read', 'instance 1', 'instance 2', 'queries'], rows);
}
