//! Tests that the catalogue exposes no tenant's rows to another, and that this check can fail.

use sqlx::PgPool;
use tests::catalogue::complaints;

/// Tables with one mistake each, correct in everything else.
const MISTAKES: &str = "
    create table has_no_policy (id uuid primary key, tenant_id uuid not null);

    create table is_not_forced (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('is_not_forced');
    alter table is_not_forced no force row level security;

    create table is_off (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('is_off');
    alter table is_off disable row level security;

    create table takes_anything (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('takes_anything');
    drop policy tenant_isolation on takes_anything;
    create policy reads on takes_anything using (
      (select current_setting('app.scope', true)) = 'system'
      or tenant_id = (select nullif(current_setting('app.tenant', true), '')::uuid)
    );

    create table shows_anything (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('shows_anything');
    alter policy tenant_isolation on shows_anything using (true or current_setting('app.tenant', true) = 'x');

    create table only_shows (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('only_shows');
    drop policy tenant_isolation on only_shows;
    create policy reads on only_shows for select using (true);

    create table has_a_back_door (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('has_a_back_door');
    create policy back_door on has_a_back_door using (true) with check (true);

    create table has_a_door_for_some (id uuid primary key, tenant_id uuid not null);
    call isolate_by_tenant('has_a_door_for_some');
    alter policy tenant_isolation on has_a_door_for_some to current_user;

    create table has_no_certain_tenant (id uuid primary key, tenant_id uuid);
    call isolate_by_tenant('has_no_certain_tenant');

    create table is_unique_to_all (id uuid primary key, tenant_id uuid not null, name text, secret_sha256 bytea unique,
      unique (name, tenant_id));
    create unique index by_lower on is_unique_to_all (lower(name)) where name is not null;
    create unique index by_tenant on is_unique_to_all (tenant_id, lower(name));
    call isolate_by_tenant('is_unique_to_all');

    create table has_a_simple_key (id uuid primary key, tenant_id uuid not null, post_id uuid, other_id uuid,
      foreign key (post_id) references posts (id),
      foreign key (post_id, tenant_id) references posts (tenant_id, id),
      foreign key (tenant_id, other_id) references posts (tenant_id, id));
    call isolate_by_tenant('has_a_simple_key');

    create table belongs_to_nobody (id uuid primary key, post_id uuid references posts (id));

    create view reads_as_its_owner as select id from posts;
    create view reads_as_its_reader with (security_invoker) as select id from posts;
    create materialized view keeps_rows as select id from posts;

    create function runs_as_its_owner() returns bigint security definer language sql as 'select count(*) from posts';

    create function looks_across() returns bigint language plpgsql as
      $$ begin perform set_config('app.scope', 'system', true); return 1; end $$;

    alter table sessions no force row level security;
    alter policy colleagues on users using (true);
    drop table throttles;
    create schema elsewhere;
    create table elsewhere.hidden (tenant_id uuid not null);
    call isolate_by_tenant('elsewhere.hidden');
    ";

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_cannot_meet_anothers_rows_by_the_catalogue(pool: PgPool) {
    let what_to_do = "call isolate_by_tenant for a table with a tenant; list one without in tests/src/catalogue.rs";
    assert_eq!(complaints(&pool).await.unwrap(), [""; 0], "{what_to_do}");
}

#[sqlx::test(migrations = "../migrations")]
async fn every_mistake_is_complained_about_by_name(pool: PgPool) {
    sqlx::raw_sql(MISTAKES).execute(&pool).await.unwrap();
    let mut expected = [
        "has_no_policy: row-level security is off",
        "has_no_policy: row-level security is not forced",
        "has_no_policy: has not just one permissive policy",
        "is_not_forced: row-level security is not forced",
        "is_off: row-level security is off",
        "takes_anything: policy reads has no WITH CHECK",
        "shows_anything: policy tenant_isolation has another USING than the procedure makes",
        "only_shows: policy reads is for some commands only",
        "only_shows: policy reads has another USING than the procedure makes",
        "only_shows: policy reads has no WITH CHECK",
        "has_a_back_door: has not just one permissive policy",
        "has_a_back_door: policy back_door has another USING than the procedure makes",
        "has_a_back_door: policy back_door has another WITH CHECK than the procedure makes",
        "has_a_door_for_some: policy tenant_isolation is for some roles only",
        "has_no_certain_tenant: the tenant may be null",
        "is_unique_to_all: unique index is_unique_to_all_secret_sha256_key does not begin with the tenant",
        "is_unique_to_all: unique index is_unique_to_all_name_tenant_id_key does not begin with the tenant",
        "is_unique_to_all: unique index by_lower does not begin with the tenant",
        "has_a_simple_key: foreign key has_a_simple_key_post_id_fkey does not carry the tenant",
        "has_a_simple_key: foreign key has_a_simple_key_post_id_tenant_id_fkey does not carry the tenant",
        "belongs_to_nobody: has no tenant, and nobody has decided who sees it",
        "belongs_to_nobody: foreign key belongs_to_nobody_post_id_fkey does not carry the tenant",
        "reads_as_its_owner: the view reads as its owner",
        "keeps_rows: relations of kind m know no row-level security",
        "runs_as_its_owner: runs as its owner",
        "looks_across: takes on the system's scope, and nobody has decided that it may",
        "looks_across: looks across tenants and answers more than yes or no",
        "sessions: row-level security is not forced",
        "users: policy colleagues shows more than colleagues",
        "throttles: no table that is listed as having no tenant",
        "hidden: is in a schema of its own",
    ];
    expected.sort_unstable();
    let mut found = complaints(&pool).await.unwrap();
    found.sort_unstable();
    assert_eq!(found, expected);
}
