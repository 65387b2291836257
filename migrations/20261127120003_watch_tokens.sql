-- The deadlines of connections, and the warnings about them.

alter table oauth_tokens
  add column data_access_expires_at timestamptz,
  add column checked_at timestamptz,
  add column warned_days smallint check (warned_days in (1, 7, 14));
comment on column oauth_tokens.data_access_expires_at is
  'When the person has to agree again, whatever refreshes succeed; null: never, or not known.';
comment on column oauth_tokens.checked_at is 'When the provider last described the token.';
comment on column oauth_tokens.warned_days is 'The last warning that the connection ends in so many days; null: none.';

create view tenant_active_connections with (security_invoker = true) as
select account.tenant_id, account.id as account_id, account.platform, account.name, account.user_token_id,
  token.expires_at, token.data_access_expires_at, token.refreshed_at, token.scopes
from social_accounts account
join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
where account.status = 'active';
comment on view tenant_active_connections is 'The accounts that can be used, each with the token of its person.';

create view tokens_expiring_soon with (security_invoker = true) as
select tenant_id, id, provider, expires_at, data_access_expires_at, deadline, warned_days
from (
  select *,
    least(data_access_expires_at, case when refresh_token is null and refresh_failed_at is not null then expires_at end)
      as deadline
  from oauth_tokens
  where kind = 'user'
) token
where least(case when refresh_token is null then expires_at end, data_access_expires_at)
  < engine_now() + interval '14 days';
comment on view tokens_expiring_soon is
  'People''s tokens that end within 14 days. deadline: when the connection ends unless they connect again; null while refreshes work.';
