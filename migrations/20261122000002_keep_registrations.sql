-- Who registers has the password and the organization wait with the link: whoever registers an address that is not theirs
-- leaves nothing behind that its owner could confirm by mistake with a link of their own.
alter table mail_links
  add column password_hash text,
  add column first_name text not null default '',
  add column last_name text not null default '',
  add column organization_name text check (length(organization_name) between 1 and 200);
comment on column mail_links.password_hash is 'What the password becomes when an address is verified by this link.';
comment on column mail_links.organization_name is 'The tenant that is made when an address is verified by this link.';

create index refresh_tokens_by_use on refresh_tokens (used_at) where used_at is not null;
create index users_unverified on users (created_at) where email_verified_at is null;
