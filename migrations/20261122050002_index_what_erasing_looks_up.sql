-- Foreign keys that are deleted over, and people who connected accounts in several tenants.

create index brand_assets_by_source on brand_assets (tenant_id, source_asset_id) where source_asset_id is not null;
create index posts_by_asset on posts (tenant_id, asset_id) where asset_id is not null;
create index post_history_by_account on post_history (tenant_id, account_id);
create index social_accounts_by_token on social_accounts (tenant_id, token_id);
create index oauth_tokens_by_person on oauth_tokens (provider, subject_id) where kind = 'user';

-- A picture outlives the one that it was rendered from.
alter table brand_assets
  drop constraint brand_assets_tenant_id_source_asset_id_fkey,
  add constraint brand_assets_source_fkey
    foreign key (tenant_id, source_asset_id) references brand_assets (tenant_id, id) on delete set null (source_asset_id);
