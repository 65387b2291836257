//! Tenants see their own rows and nothing else.

use sqlx::PgPool;

use crate::{
    engine::{NewJob, Scope, ledger},
    ids::TenantId,
    noop::Noop,
    testing::Bench,
};

#[sqlx::test(migrations = "../migrations")]
async fn every_table_with_a_tenant_forces_row_level_security(pool: PgPool) {
    let open: Vec<String> = sqlx::query_scalar(
        "
        select c.relname::text
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
        left join pg_policy p on p.polrelid = c.oid
        where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
          and (a.attname = 'tenant_id' or (c.relname = 'tenants' and a.attname = 'id'))
          and (not c.relrowsecurity or not c.relforcerowsecurity or p.polqual is null or p.polwithcheck is null)
        ",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(open.is_empty(), "{open:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn foreign_keys_between_tenants_tables_carry_the_tenant(pool: PgPool) {
    let simple: Vec<String> = sqlx::query_scalar(
        "
        select conname::text
        from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace
          and array_length(conkey, 1) < 2
          and exists (select from pg_attribute where attrelid = confrelid and attname = 'tenant_id' and not attisdropped)
        ",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(simple.is_empty(), "{simple:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_scope_nothing_is_to_be_seen(pool: PgPool) {
    let bench = Bench::new(pool.clone()).await;
    bench.enqueue(&Noop::default()).await;
    for table in ["tenants", "jobs", "effects", "oauth_tokens", "posts", "post_history", "api_keys"] {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let rows: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_neither_sees_nor_writes_anothers_rows(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.enqueue(&Noop::default()).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let other = crate::tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", "basic").await.unwrap().id;
    tx.commit().await.unwrap();

    let mut tx = bench.engine.db.begin(Scope::Tenant(other)).await.unwrap();
    assert!(ledger::get_job(&mut tx, id).await.unwrap().is_none());
    assert!(tx.enqueue(NewJob::new(bench.tenant_id, &Noop::default())).await.is_err());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_scope_ends_with_its_transaction(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.enqueue(&Noop::default()).await;
    for _ in 0..20 {
        let mut tx = bench.engine.db.system().await.unwrap();
        assert!(!ledger::list_jobs(&mut tx, &ledger::JobFilter::default(), 5).await.unwrap().jobs.is_empty());
        drop(tx);
        let mut tx = bench.engine.db.tenant(TenantId::new()).await.unwrap();
        assert!(ledger::list_jobs(&mut tx, &ledger::JobFilter::default(), 5).await.unwrap().jobs.is_empty());
    }
}
