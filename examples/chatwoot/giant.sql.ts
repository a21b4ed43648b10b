/** The one view for everything that the layers replace: every reader pays for all of it. */
export const giantView = `
create view vw_giant as
select
  c.id, c.display_id, c.account_id, c.inbox_id, c.status, c.priority, c.created_at, c.updated_at, c.last_activity_at,
  contact.name as contact_name, contact.email as contact_email, contact.phone_number as contact_phone,
  inbox.name as inbox_name, inbox.channel_type as inbox_type, assignee.name as assignee_name,
  c.created_at::date as conversation_date,
  case when c.first_reply_created_at >= c.created_at
    then extract(epoch from c.first_reply_created_at - c.created_at)::integer end as first_response_seconds,
  jsonb_agg(jsonb_build_object('id', m.id, 'content', m.content, 'sender', m.sender_type, 'at', m.created_at) order by m.created_at, m.id)
    as message_compiled,
  count(m.id)::integer as t_messages,
  (count(m.id) filter (where m.sender_type = 'User' and not m.private))::integer as user_msg_count,
  (count(m.id) filter (where m.sender_type = 'Contact'))::integer as contact_msg_count,
  (select rating from csat_survey_responses s where s.conversation_id = c.id order by s.created_at desc, s.id desc limit 1) as rating,
  (select feedback_message from csat_survey_responses s where s.conversation_id = c.id order by s.created_at desc, s.id desc limit 1) as feedback
from conversations c
left join contacts contact on contact.id = c.contact_id
left join inboxes inbox on inbox.id = c.inbox_id
left join users assignee on assignee.id = c.assignee_id
left join messages m on m.conversation_id = c.id
group by c.id, contact.id, inbox.id, assignee.id`;
