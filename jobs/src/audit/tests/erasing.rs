//! Tests of erasing a tenant's chain.

use super::*;

impl Log {
    async fn erase_some(&self, limit: i64) -> bool {
        let mut tx = self.bench.engine.db.system().await.unwrap();
        let actor = Actor::command_line();
        let is_over = erase_some(&mut tx, self.keyring(), &actor, self.bench.tenant_id, limit).await.unwrap();
        tx.commit().await.unwrap();
        is_over
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_erased_chain_is_gone_and_its_end_is_written_down(pool: PgPool) {
    let log = Log::new(pool).await;
    let other = log.other_tenant().await;
    log.write(log.bench.tenant_id, 5).await;
    log.write(other, 1).await;
    log.anchor().await;
    log.write(log.bench.tenant_id, 2).await;
    assert!(log.erase_some(100).await);
    let report = log.assert_whole().await;
    assert_eq!((report.chains, report.erased, report.being_erased), (2, 1, 0));
    let mut tx = log.bench.engine.db.system().await.unwrap();
    let entries = list_of(&mut tx, TenantId::SYSTEM, 10).await;
    let last: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.object_id.clone())).take(2).collect();
    let tenant = log.bench.tenant_id.to_string();
    assert_eq!(last, [("tenant.erased", tenant.clone()), ("tenant.erase", tenant)]);
    assert_eq!(entries[1].details["seq"], 7);
    let left = list_of(&mut tx, log.bench.tenant_id, 10).await;
    assert_eq!((left.len(), list_of(&mut tx, other, 10).await.len()), (0, 1));
    sqlx::query("delete from tenants where id = $1").bind(log.bench.tenant_id.0).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    log.assert_whole().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_chain_is_erased_in_parts_and_takes_nothing_new_meanwhile(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 5).await;
    assert!(!log.erase_some(2).await);
    assert_eq!(log.assert_whole().await.being_erased, 1);
    assert!(log.append(&[Log::entry(log.bench.tenant_id, json!({}))]).await.is_err());
    assert!(!log.erase_some(2).await);
    assert!(log.erase_some(2).await);
    let report = log.assert_whole().await;
    assert_eq!((report.erased, report.being_erased, report.entries), (1, 0, 2));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_comes_back_of_an_erased_tenant_is_found(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 5).await;
    log.tamper("create table kept_log as table audit_log; create table kept_heads as table audit_heads").await;
    log.erase_some(100).await;
    log.assert_whole().await;
    for sql in [
        "insert into audit_log select * from kept_log where seq = 2",
        "insert into audit_log select * from kept_log; insert into audit_heads select * from kept_heads",
        "insert into audit_heads select * from kept_heads",
    ] {
        log.tamper(sql).await;
        let (_, breaks) = log.check().await;
        assert!(matches!(breaks.as_slice(), [Break { fault: Fault::Reappeared, .. }]), "{sql}: {breaks:?}");
        log.tamper(
            "delete from audit_log where tenant_id = $tenant; delete from audit_heads where tenant_id = $tenant",
        )
        .await;
        log.assert_whole().await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tail_that_was_cut_before_the_tenant_was_erased_is_missed(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 3).await;
    log.keep_a_copy().await;
    log.write(log.bench.tenant_id, 2).await;
    log.anchor().await;
    log.tamper(
        "delete from audit_log where tenant_id = $tenant and seq > 3; delete from audit_heads where tenant_id = $tenant;
         insert into audit_heads select * from kept_heads",
    )
    .await;
    log.erase_some(100).await;
    let (_, breaks) = log.check().await;
    assert_eq!(faults(&breaks), [(5, Fault::NotAsAnchored)]);
}
