-- Refreshes: one at a time for each token, few at a time at each provider, each with its outcome.

alter table oauth_tokens
  add column refresh_token text,
  add column refresh_claim uuid,
  add column refresh_claimed_until timestamptz,
  add column refresh_failed_at timestamptz,
  add column refresh_error text;
comment on column oauth_tokens.refresh_token is
  'Gets the next access token, encrypted; null where the access token itself is exchanged.';
comment on column oauth_tokens.refresh_claim is
  'The refresh under way. One whose time is over was interrupted, and its reply may be lost.';
comment on column oauth_tokens.refresh_claimed_until is 'When that refresh must have ended, by the unshifted clock.';
comment on column oauth_tokens.refresh_failed_at is 'When the last refresh failed; null after one that succeeded.';
comment on column oauth_tokens.refresh_error is 'Why, in words for people.';

alter table oauth_state
  add column refresh_token text,
  add column token_expires_at timestamptz;
comment on column oauth_state.refresh_token is 'What the code was exchanged for besides, encrypted; erased with user_token.';
comment on column oauth_state.token_expires_at is 'When user_token ends; null: not known.';

alter table token_refresh_history
  drop constraint token_refresh_history_outcome_check,
  add constraint token_refresh_history_outcome_check
    check (outcome in ('refreshed', 'needs_reauth', 'failed', 'misconfigured', 'interrupted'));
comment on table token_refresh_history is
  'Every refresh of a token. misconfigured: the provider refused our app; interrupted: its process died before it recorded the reply.';
create index token_refresh_history_by_age on token_refresh_history (created_at);

create table refresh_slots (
  provider text not null,
  slot smallint not null,
  claim uuid,
  until timestamptz not null,
  primary key (provider, slot)
);
comment on table refresh_slots is 'The refreshes that may run at once at a provider, for all tenants together.';
comment on column refresh_slots.claim is 'The refresh that has the slot: oauth_tokens.refresh_claim.';
comment on column refresh_slots.until is 'When the slot is free again even if nobody frees it, by the unshifted clock.';
call isolate_to_system('refresh_slots');

create function take_refresh_slot(of_provider text, for_claim uuid, seconds double precision, at_once integer) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  perform set_config('app.scope', 'system', true);
  if (select count(*) from refresh_slots where provider = of_provider) < at_once then
    insert into refresh_slots (provider, slot, until)
    select of_provider, number, '-infinity'
    from generate_series(1, at_once) number
    on conflict do nothing;
  end if;
  update refresh_slots
  set claim = for_claim, until = clock_timestamp() + make_interval(secs => seconds)
  where provider = of_provider and slot = (
    select slot
    from refresh_slots
    where provider = of_provider and slot <= at_once and until <= clock_timestamp()
    order by slot
    limit 1
    for update skip locked
  );
  answer := found;
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function take_refresh_slot is 'Takes one of a provider''s slots for a refresh; false if all are taken.';

create function free_refresh_slot(of_provider text, for_claim uuid) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  perform set_config('app.scope', 'system', true);
  update refresh_slots
  set claim = null, until = '-infinity'
  where provider = of_provider and claim = for_claim;
  answer := found;
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function free_refresh_slot is 'Frees the slot of a refresh; false if it has none any more.';
