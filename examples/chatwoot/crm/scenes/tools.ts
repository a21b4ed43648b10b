import type { Scene } from '../instances.ts';
import type { Chat } from '../trace.ts';

/** What a tool answered in one instance is there in the other. */
export async function showToolResults({ crms: [one, two], chats }: Scene): Promise<void> {
  const { company, id } = chats[0] as Chat;
  await one.tools.store(company, id, 'find_orders', { orders: 2 });
  await one.tools.store(company, id, 'find_orders', { orders: 3 });
  const last = await two.tools.last(company, id, 'find_orders');
  const none = await two.tools.last(company, id, 'find_invoices');
  console.log(
    `\nA tool of the assistant answered twice in instance 1. Instance 2 has ${JSON.stringify(last)} of it for 30 minutes,` +
      ` and ${none === undefined ? 'nothing' : 'something'} of another tool.`,
  );
}
