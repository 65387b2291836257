-- Connecting is shown while it goes on, and a person chooses among the accounts that were found.

alter table oauth_state
  add column account_id uuid,
  add column job_id uuid,
  add column code_sha256 bytea unique,
  add column found_at timestamptz,
  add column connected_at timestamptz,
  add column problem text check (problem in ('denied', 'expired', 'failed', 'no_account', 'none_usable', 'not_there')),
  add column report jsonb,
  add constraint oauth_state_tenant_id_account_id_fkey
    foreign key (tenant_id, account_id) references social_accounts (tenant_id, id) on delete set null (account_id);
create index oauth_state_by_account on oauth_state (tenant_id, account_id) where account_id is not null;
comment on column oauth_state.expires_at is 'The end of the step that is under way: logging in, or choosing.';
comment on column oauth_state.account_id is 'The account that is to be connected again; null: any.';
comment on column oauth_state.job_id is 'The job that exchanges the code.';
comment on column oauth_state.code_sha256 is 'Hash of the code, so that no code is exchanged twice.';
comment on column oauth_state.found_at is 'When several accounts were found, so that a person has to choose.';
comment on column oauth_state.connected_at is 'When the accounts were connected.';
comment on column oauth_state.problem is 'Why nothing was connected.';
comment on column oauth_state.report is 'What the login brought, for those who look at it: no secrets.';
comment on column oauth_state.user_token is
  'What the code was exchanged for, encrypted; erased once the accounts are connected, or the time to choose is over.';

create table found_accounts (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  state_id uuid not null,
  platform text not null,
  remote_id text not null,
  name text not null,
  token_subject_id text,
  token text,
  unique (tenant_id, state_id, platform, remote_id),
  foreign key (tenant_id, state_id) references oauth_state (tenant_id, id) on delete cascade,
  check ((token is null) = (token_subject_id is null))
);
comment on table found_accounts is 'The accounts that a login opens, until a person has chosen those to connect.';
comment on column found_accounts.token_subject_id is 'The account whose token it is: of an Instagram account, its Page.';
comment on column found_accounts.token is 'Encrypted: the token that opens the account. Null: the person''s own does.';
call isolate_by_tenant('found_accounts');

alter table social_accounts
  add column subscribed_at timestamptz,
  add column subscribe_error text;
comment on column social_accounts.subscribed_at is 'When the provider agreed to send us its events; null: it does not.';
comment on column social_accounts.subscribe_error is 'Why it does not, in words for people.';

create function is_connected_elsewhere(of_tenant uuid, of_platform text, of_remote_id text) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  -- Two tenants that connect one account at the same time take turns.
  perform pg_advisory_xact_lock(hashtextextended(of_platform || ' ' || of_remote_id, 0));
  perform set_config('app.scope', 'system', true);
  answer := exists (
    select from social_accounts
    where platform = of_platform and remote_id = of_remote_id and tenant_id <> of_tenant
      and status in ('active', 'needs_reauth')
  );
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function is_connected_elsewhere is 'True if another tenant has that account.';
create index social_accounts_by_remote on social_accounts (platform, remote_id);
