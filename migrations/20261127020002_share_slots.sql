-- Queues whose jobs call others: hanging calls of one tenant must not take every slot. What is released of such a queue is written
-- down, which the queue `default` is spared.

alter table queues add column shares_slots boolean not null default false;
comment on column queues.shares_slots is
  'No tenant holds more than half of the slots of live workers, and the last tenth goes to tenants that run nothing.';
update queues set shares_slots = true where name in ('posting', 'oauth', 'ai', 'media');
