/** Somebody writes; the conversation itself keeps its date. */
export const messageArrives = `
  insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, updated_at, sender_type)
  select 'One more', account_id, inbox_id, id, 0, now() at time zone 'UTC', now() at time zone 'UTC', 'Contact'
  from conversations where id = 7`;

/** What happens in Chatwoot, the one that concerns most conversations at the end. */
export const changes: readonly (readonly [what: string, statement: string])[] = [
  ['a message arrives', messageArrives],
  ['a status without a date', 'update conversations set status = 1 - least(status, 1) where id = 11'],
  [
    'a contact is renamed',
    `update contacts set name = 'Renamed', updated_at = now() at time zone 'UTC'
     where id = (select contact_id from conversations where id = 5)`,
  ],
  [
    'an inbox is renamed',
    `update inboxes set name = 'Renamed', updated_at = now() at time zone 'UTC' where id = 2`,
  ],
];

/** Nothing is left that could be dated. */
export const conversationGoes =
  'delete from messages where conversation_id = 12; delete from conversations where id = 12';
