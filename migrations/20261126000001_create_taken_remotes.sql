-- What a remote account shows confirms one call, whatever tenants share the account; what a call left as evidence; looks.

alter table effects
  add column network text,
  add column remote_account text,
  add column evidence jsonb not null default '{}',
  add column evidence_at timestamptz,
  add column looks integer not null default 0,
  add column complete_looks integer not null default 0,
  add column failing_since timestamptz;
comment on column effects.network is 'Where it happens, such as facebook; null for calls from before this was kept.';
comment on column effects.remote_account is 'What the network calls the account: two tenants may have connected the same one.';
comment on column effects.evidence is
  'What tells it from equal ones: {"media": [ids of pictures uploaded before]}; {"candidates": [...]} of the last look.';
comment on column effects.evidence_at is 'When the media were uploaded: the network does not keep them for ever.';
comment on column effects.looks is 'How often it was looked for since it was sent.';
comment on column effects.complete_looks is 'Of these, after the lag: read to the end, and nothing there that may be it.';
comment on column effects.failing_since is 'Since when no look could be completed.';
create index effects_equal on effects (network, remote_account, request_digest) where state = 'sent';

create table taken_remotes (
  network text not null,
  remote_account text not null,
  remote_hash bytea not null,
  effect_id uuid not null,
  created_at timestamptz not null default engine_stamp(),
  primary key (network, remote_account, remote_hash)
);
comment on table taken_remotes is
  'Which call each thing on a remote account is. Without a tenant, and kept when one is erased, or another''s lost call could take it.';
comment on column taken_remotes.remote_hash is 'SHA-256 of what the network calls it.';
create index taken_remotes_by_age on taken_remotes (created_at);
call isolate_to_system('taken_remotes');

-- Tenants ask through these functions only. They look across tenants, so they answer yes or no and nothing else.
create function claim_remote(of_network text, of_account text, remote_id text, for_effect uuid) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
  hash bytea := sha256(convert_to(remote_id, 'UTF8'));
begin
  perform set_config('app.scope', 'system', true);
  insert into taken_remotes (network, remote_account, remote_hash, effect_id)
  values (of_network, of_account, hash, for_effect)
  on conflict do nothing;
  answer := exists (
    select from taken_remotes
    where network = of_network and remote_account = of_account and remote_hash = hash and effect_id = for_effect
  );
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function claim_remote is
  'Takes a thing for an effect; false if another effect has it.';

create function is_remote_taken(of_network text, of_account text, remote_id text, for_effect uuid) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
  hash bytea := sha256(convert_to(remote_id, 'UTF8'));
begin
  perform set_config('app.scope', 'system', true);
  answer := exists (
    select from taken_remotes
    where network = of_network and remote_account = of_account and remote_hash = hash and effect_id <> for_effect
  );
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function is_remote_taken is
  'Whether another effect has a thing.';

create function has_rival(of_network text, of_account text, of_digest text, for_effect uuid) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  perform set_config('app.scope', 'system', true);
  answer := exists (
    select from effects
    where network = of_network and remote_account = of_account and request_digest = of_digest and state = 'sent'
      and remote_id is null and id <> for_effect
      and (send_until > clock_timestamp() or id < for_effect)
  );
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function has_rival is
  'Whether an equal call is under way, or is looked for too and was there first.';

create function has_equals(of_network text, of_account text, of_digest text, for_effect uuid, at_least integer) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  perform set_config('app.scope', 'system', true);
  answer := count(*) >= at_least
  from (
    select from effects
    where network = of_network and remote_account = of_account and request_digest = of_digest and state = 'sent'
      and remote_id is null and id <> for_effect
    limit at_least
  ) others;
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function has_equals is
  'Whether so many other equal calls are looked for.';

create function swap_remotes(of_network text, of_account text, one uuid, other uuid) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  perform set_config('app.scope', 'system', true);
  update taken_remotes
  set effect_id = case effect_id when one then other else one end
  where network = of_network and remote_account = of_account and effect_id in (one, other);
  answer := found;
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function swap_remotes is
  'Gives each of two effects what the other has taken; false if neither has anything.';

set local app.scope = 'system';
update effects
set network = account.platform, remote_account = account.remote_id
from social_accounts account
where account.tenant_id = effects.tenant_id and account.id = effects.account_id;
insert into taken_remotes (network, remote_account, remote_hash, effect_id, created_at)
select network, remote_account, sha256(convert_to(remote_id, 'UTF8')), id, created_at
from effects
where remote_id is not null and network is not null
order by created_at, id
on conflict do nothing;
set local app.scope = '';
