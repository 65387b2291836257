-- Whoever invites must still be able to give the role when the invitation is accepted: so keys that invite are noted too.

alter table invitations add column invited_by_key uuid;
comment on column invitations.invited_by_key is
  'The key that invited; null where a person did. No foreign key, as operators'' keys invite too and are of no tenant.';
create index invitations_by_key on invitations (invited_by_key) where invited_by_key is not null;
