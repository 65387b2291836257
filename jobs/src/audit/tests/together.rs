//! Tests of concurrent transactions.

use futures_util::future::{join_all, try_join_all};

use super::*;

#[sqlx::test(migrations = "../migrations")]
async fn many_that_write_at_once_leave_one_whole_chain(pool: PgPool) {
    let log = Log::new(pool).await;
    let entries = [Log::entry(log.bench.tenant_id, json!({ "a": 1 }))];
    try_join_all((0..50).map(|_| log.append(&entries))).await.unwrap();
    let report = log.assert_whole().await;
    assert_eq!((report.chains, report.entries), (1, 50));
}

#[sqlx::test(migrations = "../migrations")]
async fn those_who_write_to_several_tenants_do_not_wait_for_each_other_for_good(pool: PgPool) {
    let log = Log::new(pool).await;
    let tenants = [log.bench.tenant_id, TenantId::SYSTEM, log.other_tenant().await, log.other_tenant().await];
    let writers = (0..50_usize).map(|number| {
        // Each in another order; none of the heads exists at the beginning.
        let entries: Vec<Entry> = (0..tenants.len())
            .map(|place| Log::entry(tenants[(place * 3 + number) % tenants.len()], json!({})))
            .collect();
        let log = &log;
        async move { log.append(&entries).await }
    });
    let anchors = async {
        for _ in 0..5 {
            log.anchor().await;
        }
    };
    let checks = async {
        for _ in 0..5 {
            log.assert_whole().await;
        }
    };
    let (written, (), ()) = tokio::join!(join_all(writers), anchors, checks);
    written.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    log.anchor().await;
    let report = log.assert_whole().await;
    assert_eq!(report.chains, 4);
    assert!(report.entries > 200, "50 in each chain, and anchors");
}
