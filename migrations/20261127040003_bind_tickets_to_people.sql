-- A ticket that a person asked for opens only for that person: whoever is sent somebody else's connects nothing to their tenant.

alter table oauth_state add column user_id uuid references users (id) on delete cascade;
comment on column oauth_state.user_id is 'Who asked for it and alone may open it; null where a key did.';
create index oauth_state_by_user on oauth_state (user_id) where user_id is not null;
