-- Tells workers that stopped from those that died.

alter table workers add column stopped_at timestamptz;
comment on column workers.stopped_at is
  'When it stopped by itself, or went on under another id; null while it lives, and if it died. Unshifted clock.';

create index users_operators on users (created_at desc, id desc) where operator_role is not null;
