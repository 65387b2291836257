-- After a stop the posts of an account go out one after the other, in the order of their times, and not within a second.

alter table queues add column rest_seconds integer check (rest_seconds > 0);
comment on column queues.rest_seconds is
  'How long a lane rests after an attempt that may have called; null: not at all.';
comment on table resting_lanes is
  'Lanes of a queue that have used up their starts a minute (queues.max_per_minute), or rest after an attempt (queues.rest_seconds). Rows whose time is over mean nothing and are deleted.';
update queues set rest_seconds = 3, max_per_account = coalesce(max_per_account, 1) where name = 'posting';
