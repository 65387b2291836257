-- Tenants: what they say about themselves, what they have used, and their end.

alter table tenants add column erasing_at timestamptz;
comment on column tenants.erasing_at is 'Since when it is being erased: nobody gets in any more.';

create table tenant_settings (
  tenant_id uuid primary key references tenants (id),
  company_name text check (length(company_name) between 1 and 200),
  description text check (length(description) between 1 and 4000),
  country text check (country ~ '^[A-Z]{2}$'),
  time_zone text check (length(time_zone) between 1 and 64),
  brand_hashtag text check (length(brand_hashtag) between 2 and 100),
  tone text check (length(tone) between 1 and 500),
  hashtag_counts jsonb not null default '{}' check (jsonb_typeof(hashtag_counts) = 'object'),
  shop_url text check (length(shop_url) <= 2000),
  primary_color text check (primary_color ~ '^#[0-9a-f]{6}$'),
  secondary_color text check (secondary_color ~ '^#[0-9a-f]{6}$'),
  logo_asset_id uuid,
  product_name text check (length(product_name) between 1 and 100),
  hides_footer boolean not null default false,
  constraint tenant_settings_logo_fkey
    foreign key (tenant_id, logo_asset_id) references brand_assets (tenant_id, id) on delete set null (logo_asset_id)
);
comment on table tenant_settings is 'What a tenant says about itself; no row: nothing yet.';
comment on column tenant_settings.country is 'ISO 3166-1, two letters.';
comment on column tenant_settings.time_zone is 'As IANA calls it; null: UTC.';
comment on column tenant_settings.tone is 'How its texts are to sound.';
comment on column tenant_settings.hashtag_counts is 'Hashtags under a post, by network: {"instagram": 10}.';
comment on column tenant_settings.product_name is 'What Linecook is called there, for those who resell it.';
comment on column tenant_settings.hides_footer is 'Whether pages and mails leave out who made this.';
call isolate_by_tenant('tenant_settings');

create table tenant_usage (
  tenant_id uuid primary key references tenants (id),
  images bigint not null default 0,
  storage_bytes bigint not null default 0,
  posts bigint not null default 0,
  posts_day date,
  posts_on_day bigint not null default 0,
  ai_generations bigint not null default 0,
  ai_month date,
  ai_in_month bigint not null default 0
) with (fillfactor = 50);
comment on table tenant_usage is
  'What a tenant has used: counted in the transaction that uses it, so that limits hold and nothing is ever counted again.';
comment on column tenant_usage.images is 'Pictures that it uploaded.';
comment on column tenant_usage.storage_bytes is 'What all its pictures take, rendered ones too.';
comment on column tenant_usage.posts is 'Deliveries that were made.';
comment on column tenant_usage.posts_day is 'The last day, in its time zone, on which some were; it never goes back.';
comment on column tenant_usage.posts_on_day is 'How many on that day.';
comment on column tenant_usage.ai_generations is 'Texts that AI wrote for it, and those that it is to write.';
comment on column tenant_usage.ai_month is 'The first day of the last month, in its time zone, in which some were asked for; it never goes back.';
comment on column tenant_usage.ai_in_month is 'How many in that month.';
call isolate_by_tenant('tenant_usage');

alter table content_calendar
  add column generations_reserved integer not null default 0 check (generations_reserved >= 0),
  add column reserved_month date;
comment on column content_calendar.generations_reserved is 'Texts of it that are in tenant_usage and not written yet.';
comment on column content_calendar.reserved_month is 'The month in which they are counted.';

-- What there is, as if it had been counted all along.
set local app.scope = 'system';
insert into tenant_usage (tenant_id, images, storage_bytes, posts, ai_generations)
select id,
  (select count(*) from brand_assets where tenant_id = tenants.id and source_asset_id is null),
  (select coalesce(sum(size_bytes), 0) from brand_assets where tenant_id = tenants.id),
  (select count(*) from post_history where tenant_id = tenants.id),
  (select count(*) from posts where tenant_id = tenants.id and calendar_id is not null and caption is not null)
from tenants
where id <> '00000000-0000-0000-0000-000000000000';
set local app.scope = '';
