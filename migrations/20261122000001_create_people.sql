-- People: who they are, where they belong, how they sign in.

create procedure isolate_to_system(system_table regclass)
language plpgsql as $$
declare
  visible text := 'current_setting(''app.scope'', true) = ''system''';
begin
  execute format('alter table %s enable row level security', system_table);
  execute format('alter table %s force row level security', system_table);
  execute format('create policy system_only on %s using (%s) with check (%s)', system_table, visible, visible);
end
$$;
comment on procedure isolate_to_system is 'Enables and forces row-level security: only the system scope sees anything.';

create table users (
  id uuid primary key,
  email text not null check (length(email) between 3 and 254),
  email_verified_at timestamptz,
  password_hash text,
  first_name text not null default '' check (length(first_name) <= 100),
  last_name text not null default '' check (length(last_name) <= 100),
  picture_url text check (length(picture_url) <= 2000),
  operator_role text check (operator_role in ('read_only', 'full')),
  current_tenant_id uuid references tenants (id) on delete set null,
  created_at timestamptz not null default engine_stamp()
);
comment on table users is 'People who sign in. They belong to tenants by tenant_users.';
comment on column users.password_hash is 'argon2id as a PHC string; null for those who only sign in elsewhere.';
comment on column users.operator_role is 'For staff, who see every tenant; null for everybody else.';
comment on column users.current_tenant_id is 'The tenant they switched to last; null: the first that they joined.';
create unique index users_email on users (lower(email));
create index users_by_current_tenant on users (current_tenant_id) where current_tenant_id is not null;

create table tenant_users (
  tenant_id uuid not null references tenants (id),
  user_id uuid not null references users (id) on delete cascade,
  role text not null check (role in ('owner', 'admin', 'member')),
  created_at timestamptz not null default engine_stamp(),
  primary key (tenant_id, user_id)
);
comment on table tenant_users is 'Who belongs to which tenant, and as what.';
create index tenant_users_by_user on tenant_users (user_id, created_at);
call isolate_by_tenant('tenant_users');

-- Colleagues see each other; who writes is the system, which knows whose row it is.
alter table users enable row level security;
alter table users force row level security;
create policy colleagues on users
  using (
    current_setting('app.scope', true) = 'system'
    or exists (
      select from tenant_users
      where tenant_users.user_id = users.id
        and tenant_users.tenant_id = nullif(current_setting('app.tenant', true), '')::uuid
    )
  )
  with check (current_setting('app.scope', true) = 'system');

create table user_identities (
  provider text not null check (provider in ('google', 'github')),
  subject text not null,
  user_id uuid not null references users (id) on delete cascade,
  created_at timestamptz not null default engine_stamp(),
  primary key (provider, subject)
);
comment on table user_identities is 'Accounts elsewhere that people sign in with.';
comment on column user_identities.subject is 'What the provider calls the person for good; not the address, which may change hands.';
create index user_identities_by_user on user_identities (user_id);
call isolate_to_system('user_identities');

create table sessions (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  cookie_sha256 bytea unique,
  remote_address text,
  created_at timestamptz not null default engine_stamp(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
comment on table sessions is 'A person who signed in, in one browser or program, until signing out.';
comment on column sessions.cookie_sha256 is 'SHA-256 of the browser''s cookie; null for programs, which hold refresh tokens.';
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);
call isolate_to_system('sessions');

create table refresh_tokens (
  id uuid primary key,
  session_id uuid not null references sessions (id) on delete cascade,
  parent_id uuid,
  secret_sha256 bytea not null unique,
  created_at timestamptz not null default engine_stamp(),
  used_at timestamptz
);
comment on column refresh_tokens.parent_id is 'The one that was exchanged for it; where its answer was lost, for others too: of those one goes on.';
comment on table refresh_tokens is 'Each is exchanged once for the next; one that comes back later was stolen.';
create index refresh_tokens_by_session on refresh_tokens (session_id);
create index refresh_tokens_by_parent on refresh_tokens (parent_id) where parent_id is not null;
call isolate_to_system('refresh_tokens');

create table mail_links (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  purpose text not null check (purpose in ('verify_email', 'reset_password')),
  created_at timestamptz not null default engine_stamp(),
  expires_at timestamptz not null,
  used_at timestamptz
);
comment on table mail_links is 'Links sent by mail, each good for one use. What makes one secret follows from SECRET_KEY and is not stored.';
create index mail_links_by_user on mail_links (user_id);
create index mail_links_by_expiry on mail_links (expires_at);
call isolate_to_system('mail_links');

create table invitations (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  email text not null check (length(email) between 3 and 254),
  role text not null check (role in ('owner', 'admin', 'member')),
  invited_by uuid references users (id) on delete set null,
  created_at timestamptz not null default engine_stamp(),
  expires_at timestamptz not null,
  accepted_at timestamptz,
  revoked_at timestamptz
);
comment on table invitations is 'People asked to join a tenant. The link is made as those of mail_links are.';
comment on column invitations.invited_by is 'Null where a key did it, or whoever did is gone.';
create index invitations_by_tenant on invitations (tenant_id, created_at desc, id desc);
create unique index invitations_open on invitations (tenant_id, lower(email))
  where accepted_at is null and revoked_at is null;
create index invitations_by_inviter on invitations (invited_by) where invited_by is not null;
call isolate_by_tenant('invitations');

create table throttles (
  key_sha256 bytea primary key,
  next_at timestamptz not null
);
comment on table throttles is 'How often somebody may try: a generic cell rate algorithm, here so that it holds while Redis is away.';
comment on column throttles.key_sha256 is 'SHA-256 of what is counted, such as an address that signs in.';
comment on column throttles.next_at is 'When the next try would be due if tries were spread evenly.';
create index throttles_by_time on throttles (next_at);
call isolate_to_system('throttles');

alter table api_keys add column created_by uuid references users (id) on delete set null;
comment on column api_keys.created_by is 'Who made it; null where a key or a command did, or whoever did is gone.';
create index api_keys_by_maker on api_keys (created_by) where created_by is not null;
