-- A second factor for people, sign-ins that wait for its code, changes of address, and what a session shows of itself.

create table second_factors (
  user_id uuid primary key references users (id) on delete cascade,
  secret text not null,
  created_at timestamptz not null default engine_stamp(),
  confirmed_at timestamptz,
  last_step bigint not null default 0
);
comment on table second_factors is 'The authenticator app of a person.';
comment on column second_factors.secret is 'The shared secret of TOTP (RFC 6238), encrypted.';
comment on column second_factors.confirmed_at is 'When a first code was right; before that it protects nothing.';
comment on column second_factors.last_step is 'The time step of the last code that was taken, so that none is taken twice.';
call isolate_to_system('second_factors');

create table recovery_codes (
  user_id uuid not null references second_factors (user_id) on delete cascade,
  code_sha256 bytea not null,
  used_at timestamptz,
  primary key (user_id, code_sha256)
);
comment on table recovery_codes is 'Codes of 120 random bits for people without their app at hand, each good for one use.';
call isolate_to_system('recovery_codes');

create table pending_sign_ins (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  created_at timestamptz not null default engine_stamp(),
  expires_at timestamptz not null,
  used_at timestamptz
);
comment on table pending_sign_ins is 'People whose password was right and whose code is awaited.';
create index pending_sign_ins_by_user on pending_sign_ins (user_id);
create index pending_sign_ins_by_expiry on pending_sign_ins (expires_at);
call isolate_to_system('pending_sign_ins');

create table address_changes (
  id uuid primary key,
  user_id uuid not null unique references users (id) on delete cascade,
  email text not null check (length(email) between 3 and 254),
  created_at timestamptz not null default engine_stamp(),
  expires_at timestamptz not null,
  old_confirmed_at timestamptz,
  new_confirmed_at timestamptz
);
comment on table address_changes is 'A new address that a person wants, until both mailboxes have confirmed it.';
create index address_changes_by_expiry on address_changes (expires_at);
call isolate_to_system('address_changes');

alter table sessions
  add column user_agent text check (length(user_agent) <= 300),
  add column last_used_at timestamptz,
  add column second_factor_at timestamptz;
comment on column sessions.user_agent is 'What the browser or program called itself when it signed in, for its owner to recognise it.';
comment on column sessions.last_used_at is 'When it was last used, to the minute.';
comment on column sessions.second_factor_at is 'When a code of the second factor was given in it; null: none was.';

alter table tenant_settings add column requires_second_factor boolean not null default false;
comment on column tenant_settings.requires_second_factor is 'True if its people get in only with a second factor.';
