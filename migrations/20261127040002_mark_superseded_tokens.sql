-- A refresh token whose answer may have been lost is exchanged again for ten seconds. Of the tokens that it was exchanged for, the
-- first that is used goes on, and the others are good for nothing from then on.

alter table refresh_tokens add column superseded boolean not null default false;
comment on column refresh_tokens.superseded is 'Another successor of its parent was used before it: whoever comes with it is a second holder.';
