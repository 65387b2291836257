//! Tests that the operators' chain keeps the ends of the others.

use super::*;

#[test]
fn the_payload_keeps_its_form() {
    assert_eq!(json!(AnchorAuditLog::default()), json!({}));
}

#[sqlx::test(migrations = "../migrations")]
async fn heads_that_moved_are_written_down_once(pool: PgPool) {
    let log = Log::new(pool).await;
    let other = log.other_tenant().await;
    log.write(log.bench.tenant_id, 2).await;
    log.write(other, 1).await;
    log.write(TenantId::SYSTEM, 1).await;
    for expected in [2, 0] {
        assert_eq!(log.anchor().await["anchored"], expected);
    }
    let mut tx = log.bench.engine.db.system().await.unwrap();
    let entries = list_of(&mut tx, TenantId::SYSTEM, 10).await;
    assert_eq!((entries.len(), entries[0].actor_kind.as_str()), (2, "job"));
    assert_eq!(entries[0].details["heads"].as_array().unwrap().len(), 2);
    drop(tx);
    log.write(other, 1).await;
    assert_eq!(log.anchor().await["anchored"], 1);
    let report = log.assert_whole().await;
    assert_eq!((report.chains, report.entries), (3, 7));
}

#[sqlx::test(migrations = "../migrations")]
async fn more_heads_than_fit_into_one_entry_are_all_written_down(pool: PgPool) {
    let log = Log::new(pool).await;
    log.tamper(
        "insert into tenants (id, name, plan) select gen_random_uuid(), 'tenant', 'basic' from generate_series(1, 650)",
    )
    .await;
    let mut tx = log.bench.engine.db.system().await.unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from tenants where name = 'tenant'").fetch_all(&mut *tx).await.unwrap();
    drop(tx);
    let entries: Vec<Entry> = ids.into_iter().map(|id| Log::entry(TenantId(id), json!({}))).collect();
    log.append(&entries).await.unwrap();
    assert_eq!(log.anchor().await["anchored"], 650);
    let report = log.assert_whole().await;
    assert_eq!((report.chains, report.entries), (651, 653));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tail_that_is_cut_together_with_its_head_is_missed(pool: PgPool) {
    let log = Log::new(pool).await;
    let tenant_id = log.bench.tenant_id;
    log.write(tenant_id, 4).await;
    log.keep_a_copy().await;
    log.write(tenant_id, 3).await;
    log.anchor().await;
    let back = "delete from audit_log where tenant_id = $tenant and seq > 4; delete from audit_heads where tenant_id = $tenant;
        insert into audit_heads select * from kept_heads";
    log.tamper(back).await;
    let (_, breaks) = log.check().await;
    assert_eq!(faults(&breaks), [(7, Fault::NotAsAnchored)], "all but the anchor fits");

    // A later anchor of the chain, which has grown again, does not hide the first one.
    log.write(tenant_id, 5).await;
    log.anchor().await;
    let (_, breaks) = log.check().await;
    assert_eq!(faults(&breaks), [(7, Fault::NotAsAnchored)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_chain_that_is_gone_altogether_is_missed(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 4).await;
    log.anchor().await;
    log.tamper("delete from audit_log where tenant_id = $tenant; delete from audit_heads where tenant_id = $tenant")
        .await;
    let (_, breaks) = log.check().await;
    assert_eq!(faults(&breaks), [(4, Fault::NotAsAnchored)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cut_operators_chain_is_found_by_whoever_noted_its_end(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(TenantId::SYSTEM, 3).await;
    log.keep_a_copy().await;
    log.write(TenantId::SYSTEM, 2).await;
    let known = log.assert_whole().await.head.unwrap();
    log.write(TenantId::SYSTEM, 1).await;
    let (_, breaks) = log.check_with(log.keyring(), Some(known.clone())).await;
    assert_eq!(breaks, []);
    log.restore().await;
    log.assert_whole().await;
    for _ in 0..2 {
        let (_, breaks) = log.check_with(log.keyring(), Some(known.clone())).await;
        assert_eq!(faults(&breaks), [(5, Fault::NotAsKnown)]);
        log.write(TenantId::SYSTEM, 4).await;
    }
}
