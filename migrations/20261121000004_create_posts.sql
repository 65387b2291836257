-- Pictures, calendars, posts and their deliveries.

create table asset_folders (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  name text not null check (length(name) between 1 and 200),
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id),
  unique (tenant_id, name)
);
comment on table asset_folders is 'Folders of pictures.';
call isolate_by_tenant('asset_folders');

create table brand_assets (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  folder_id uuid not null,
  name text not null check (length(name) between 1 and 255),
  content_type text not null check (content_type in ('image/jpeg', 'image/png')),
  size_bytes bigint not null,
  width_px integer not null,
  height_px integer not null,
  tags text[] not null default '{}',
  storage_key text not null,
  source_asset_id uuid,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id),
  foreign key (tenant_id, folder_id) references asset_folders (tenant_id, id),
  foreign key (tenant_id, source_asset_id) references brand_assets (tenant_id, id)
);
comment on table brand_assets is 'Pictures: uploaded, or rendered from another one.';
comment on column brand_assets.storage_key is 'Where the bytes are in object storage.';
comment on column brand_assets.source_asset_id is 'The picture this one was rendered from.';
create index brand_assets_by_folder on brand_assets (tenant_id, folder_id, created_at desc, id desc);
call isolate_by_tenant('brand_assets');

create table content_calendar (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  month date not null check (extract(day from month) = 1),
  brief text not null,
  post_count integer not null check (post_count between 1 and 62),
  state text not null check (state in ('planning', 'writing', 'ready', 'failed')),
  error text,
  job_id uuid,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id)
);
comment on table content_calendar is 'A month of posts written by AI.';
comment on column content_calendar.month is 'Its first day.';
comment on column content_calendar.error is 'Why it failed, in words for people.';
call isolate_by_tenant('content_calendar');

create table posts (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  calendar_id uuid,
  position smallint,
  topic text,
  caption text,
  asset_id uuid,
  planned_at timestamptz,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id),
  unique (tenant_id, calendar_id, position),
  foreign key (tenant_id, calendar_id) references content_calendar (tenant_id, id),
  foreign key (tenant_id, asset_id) references brand_assets (tenant_id, id)
);
comment on table posts is 'Content. What becomes of it on an account is in post_history.';
comment on column posts.position is 'Its place in the calendar, from 0.';
comment on column posts.caption is 'Null until it is written.';
comment on column posts.planned_at is 'When the calendar wants it out.';
create index posts_by_tenant on posts (tenant_id, created_at desc, id desc);
call isolate_by_tenant('posts');

create table post_history (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  post_id uuid not null,
  account_id uuid not null,
  state text not null check (state in
    ('scheduled', 'submitting', 'published', 'failed', 'unknown', 'cancelled')),
  scheduled_at timestamptz not null,
  job_id uuid,
  blocked_by text,
  remote_id text,
  permalink text,
  published_at timestamptz,
  error_class text,
  error text,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, id),
  unique (tenant_id, post_id, account_id),
  foreign key (tenant_id, post_id) references posts (tenant_id, id),
  foreign key (tenant_id, account_id) references social_accounts (tenant_id, id),
  check (state <> 'published' or remote_id is not null)
);
comment on table post_history is 'Deliveries: one row per post and account.';
comment on column post_history.blocked_by is 'What it waits for, in words for people, while it is scheduled but cannot go out.';
comment on column post_history.error is 'Why it failed or is unknown, in words for people.';
create index post_history_by_schedule on post_history (tenant_id, scheduled_at desc, id desc);
call isolate_by_tenant('post_history');
