-- Disconnected accounts, tokens that are still to be revoked, and what people told a provider about us.

alter table social_accounts
  drop constraint social_accounts_status_check,
  add constraint social_accounts_status_check check (status in ('active', 'needs_reauth', 'disconnected'));
comment on column social_accounts.status_reason is 'Why the connection needs its user again, or what a disconnect left to do, in words for people.';

create table revocations (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  provider text not null,
  subject_id text not null,
  access_token text not null,
  created_at timestamptz not null default engine_stamp()
);
comment on table revocations is
  'Tokens of disconnected people, each kept only until the provider revoked it or until that is given up.';
comment on column revocations.subject_id is 'The provider''s id of the person.';
comment on column revocations.access_token is 'The token, encrypted. Nothing but its revocation uses it.';
create index revocations_by_tenant on revocations (tenant_id, id);
call isolate_by_tenant('revocations');

create table deauthorizations (
  id uuid primary key,
  provider text not null,
  subject_id text,
  request_sha256 bytea not null unique,
  erases_data boolean not null,
  issued_at timestamptz not null,
  tokens_erased integer not null default 0,
  accounts_ended integer not null default 0,
  ended_at timestamptz,
  created_at timestamptz not null default engine_stamp()
);
comment on table deauthorizations is
  'People who removed Linecook at a provider, as the provider reported it. Their status pages read it.';
comment on column deauthorizations.subject_id is 'The provider''s id of the person; erased once it was acted on.';
comment on column deauthorizations.request_sha256 is 'The hash of the signed report, which is acted on once.';
comment on column deauthorizations.erases_data is 'True if the person also asked for their data to be erased.';
comment on column deauthorizations.issued_at is 'When the person did that. Connections that were made later stay.';
comment on column deauthorizations.tokens_erased is 'How many tokens were erased, in all tenants.';
comment on column deauthorizations.accounts_ended is 'How many accounts need another person now.';
create index deauthorizations_by_age on deauthorizations (created_at);
call isolate_to_system('deauthorizations');

-- Expired logins are deleted.
create index oauth_state_by_end on oauth_state (expires_at);
