//! Tests of row-level security: tenants see only their own rows. More tests are in
//! tests/tests/isolation.

use futures_util::FutureExt as _;
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::{NOOPS, Noop};
use crate::{Db, NewJob, Scope, ids::TenantId, ledger, testing::Bench};

#[sqlx::test(migrations = "../../migrations")]
async fn a_tenant_neither_sees_nor_writes_anothers_rows(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let id = bench.enqueue(&Noop::default()).await;
    let other = TenantId::new();
    bench.insert_tenant(other, "Hults Cafe").await;

    let mut tx = bench.engine.db.begin(Scope::Tenant(other)).await.unwrap();
    assert!(ledger::get_job(&mut tx, id).await.unwrap().is_none());
    assert!(tx.enqueue(NewJob::new(bench.tenant_id, &Noop::default())).await.is_err());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_scope_ends_with_its_transaction(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    bench.enqueue(&Noop::default()).await;
    for _ in 0..20 {
        let mut tx = bench.engine.db.system().await.unwrap();
        assert!(
            !ledger::list_jobs::<()>(&mut tx, &[], &ledger::JobFilter::default(), 5).await.unwrap().jobs.is_empty()
        );
        drop(tx);
        let mut tx = bench.engine.db.tenant(TenantId::new()).await.unwrap();
        assert!(ledger::list_jobs::<()>(&mut tx, &[], &ledger::JobFilter::default(), 5).await.unwrap().jobs.is_empty());
    }
}

/// A client may hang up while its request begins a transaction.
#[sqlx::test(migrations = "../../migrations")]
async fn a_transaction_that_nobody_waits_for_leaves_no_scope_behind(pool: PgPool) {
    let one = PgPoolOptions::new().max_connections(1).connect_with(pool.connect_options().as_ref().clone());
    let one = one.await.unwrap();
    let db = Db::from_pool(one.clone(), None).await.unwrap();
    for _ in 0..20 {
        assert!(db.system().now_or_never().is_none(), "it takes more than one poll");
        let mut tx = db.tenant(TenantId::new()).await.unwrap();
        let seen: i64 = sqlx::query_scalar("select count(*) from tenants").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(seen, 0, "by a tenant, after the system");
        drop(tx);
        assert!(db.system().now_or_never().is_none(), "it takes more than one poll");
        let seen: i64 = sqlx::query_scalar("select count(*) from tenants").fetch_one(&one).await.unwrap();
        assert_eq!(seen, 0, "without a transaction");
    }
}
