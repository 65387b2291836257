-- Which providers there are, the code says (jobs/src/providers): a new one needs no migration.

alter table oauth_state drop constraint oauth_state_provider_check, add column verifier text;
alter table oauth_tokens drop constraint oauth_tokens_provider_check;
alter table social_accounts drop constraint social_accounts_platform_check;
alter table user_identities drop constraint user_identities_provider_check;
comment on column oauth_state.verifier is
  'What the provider wants with the code (PKCE), encrypted; null where it takes none, and erased with the code.';
comment on table social_accounts is 'What one can use at a provider, such as publish to.';
