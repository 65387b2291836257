-- Connections to the outside: OAuth states, accounts and their tokens.

create table oauth_state (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  provider text not null check (provider in ('facebook')),
  ticket_sha256 bytea not null unique,
  state_sha256 bytea unique,
  browser_sha256 bytea,
  code text,
  user_token text,
  expires_at timestamptz not null,
  used_at timestamptz,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id)
);
comment on table oauth_state is 'One run of connecting an account: a ticket opens it in a browser, the state comes back from the provider once.';
comment on column oauth_state.browser_sha256 is 'Hash of the cookie that binds the run to the browser that opened the ticket.';
comment on column oauth_state.user_token is 'What the code was exchanged for, encrypted; erased once the accounts are connected.';
comment on column oauth_state.code is 'The authorization code, encrypted; erased once exchanged.';
call isolate_by_tenant('oauth_state');

create table oauth_tokens (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  provider text not null check (provider in ('facebook')),
  kind text not null check (kind in ('user', 'page')),
  subject_id text not null,
  access_token text not null,
  scopes text[] not null default '{}',
  expires_at timestamptz,
  refreshed_at timestamptz not null default engine_stamp(),
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id),
  unique (tenant_id, provider, kind, subject_id)
);
comment on table oauth_tokens is 'Tokens, encrypted. A user token is kept for refreshing, a page token for publishing.';
comment on column oauth_tokens.subject_id is 'The provider''s id of the person or page.';
comment on column oauth_tokens.access_token is 'Envelope v1.<key id>.<nonce>.<ciphertext>, bound to table, column, tenant and row.';
comment on column oauth_tokens.expires_at is 'Null: no expiry date is known.';
call isolate_by_tenant('oauth_tokens');

create table social_accounts (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  platform text not null check (platform in ('facebook')),
  remote_id text not null,
  name text not null,
  status text not null check (status in ('active', 'needs_reauth')),
  status_reason text,
  user_token_id uuid not null,
  token_id uuid not null,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id),
  unique (tenant_id, platform, remote_id),
  foreign key (tenant_id, user_token_id) references oauth_tokens (tenant_id, id),
  foreign key (tenant_id, token_id) references oauth_tokens (tenant_id, id)
);
comment on table social_accounts is 'What one can publish to: a Facebook Page.';
comment on column social_accounts.status_reason is 'Why the connection needs its user again, in words for people.';
create index social_accounts_by_user_token on social_accounts (tenant_id, user_token_id);
call isolate_by_tenant('social_accounts');

create table token_refresh_history (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  token_id uuid not null,
  outcome text not null check (outcome in ('refreshed', 'needs_reauth')),
  message text,
  expires_at timestamptz,
  created_at timestamptz not null default engine_stamp(),
  foreign key (tenant_id, token_id) references oauth_tokens (tenant_id, id)
);
comment on table token_refresh_history is 'Every refresh of a token that had an outcome.';
create index token_refresh_history_by_token on token_refresh_history (tenant_id, token_id, created_at desc);
call isolate_by_tenant('token_refresh_history');
