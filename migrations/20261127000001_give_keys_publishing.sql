-- Publishing takes a permission of its own, posts:publish. Keys that published by posts:write still do.

set local app.scope = 'system';
update api_keys
set permissions = (
  select array_agg(distinct name order by name)
  from unnest(permissions || '{posts:publish}'::text[]) as name
)
where 'posts:write' = any (permissions) and revoked_at is null;
set local app.scope = '';
