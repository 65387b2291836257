-- Addresses are compared in one form, whatever the database's collation makes of letters. It is only ever computed from ASCII:
-- domains are stored in punycode, and addresses with other letters before the @ are refused. `admin migrate` converts what was
-- stored before.

alter table users add column email_canonical text not null generated always as (lower(email collate "C")) stored;
comment on column users.email_canonical is 'The address as it is compared: jobs::people::Address::canonical.';
create unique index users_email_canonical on users (email_canonical);
comment on index users_email is 'For processes of the version before: the next one drops it.';

alter table invitations add column email_canonical text not null generated always as (lower(email collate "C")) stored;
comment on column invitations.email_canonical is 'The address as it is compared: jobs::people::Address::canonical.';
create unique index invitations_open_canonical on invitations (tenant_id, email_canonical)
  where accepted_at is null and revoked_at is null;
comment on index invitations_open is 'For processes of the version before: the next one drops it.';
