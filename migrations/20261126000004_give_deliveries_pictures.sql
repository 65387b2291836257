-- A delivery goes out with its own picture: the same post may have another one on another account.

alter table post_history
  add column asset_id uuid,
  add constraint post_history_asset_fkey foreign key (tenant_id, asset_id) references brand_assets (tenant_id, id);
comment on column post_history.asset_id is 'The picture that it goes out with; null: none.';
create index post_history_by_asset on post_history (tenant_id, asset_id) where asset_id is not null;

set local app.scope = 'system';
update post_history
set asset_id = post.asset_id
from posts post
where post.tenant_id = post_history.tenant_id and post.id = post_history.post_id and post.asset_id is not null;
set local app.scope = '';
