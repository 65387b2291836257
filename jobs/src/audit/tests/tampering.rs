//! Tests that every way to change the tables is detected.

use super::*;

/// Edits of the fourth of six entries: the column and its new value.
const EDITS: &[(&str, &str)] = &[
    ("id", "gen_random_uuid()"),
    ("tenant_id", "'00000000-0000-0000-0000-000000000000'"),
    ("actor_id", "gen_random_uuid()"),
    ("actor_kind", "'key'"),
    ("actor_name", "'x'"),
    ("actor_name", "actor_name || ' '"),
    ("action", "'x'"),
    ("object_type", "'x'"),
    ("object_id", "'18'"),
    ("details", "'{}'"),
    ("details", "(details::text || ' ')::json"),
    ("remote_address", "'192.0.2.2'"),
    ("remote_address", "''"),
    ("remote_address", "null"),
    ("created_at", "created_at + interval '1 microsecond'"),
    ("created_at", "'infinity'"),
    ("seq", "400"),
    ("seq", "-4"),
    ("seq", "null"),
    ("key_id", "'other'"),
    ("mac", "sha256(mac)"),
    ("mac", "null"),
];

#[sqlx::test(migrations = "../migrations")]
async fn an_edit_of_any_column_of_an_entry_is_found(pool: PgPool) {
    let log = Log::new(pool.clone()).await;
    log.write(log.bench.tenant_id, 6).await;
    log.keep_a_copy().await;
    for &(column, value) in EDITS {
        log.tamper(&format!("update audit_log set {column} = {value} where seq = 4")).await;
        let (_, breaks) = log.check().await;
        assert!(!breaks.is_empty(), "{column} = {value}");
        log.restore().await;
        log.assert_whole().await;
    }
    let columns: Vec<String> =
        sqlx::query_scalar("select column_name::text from information_schema.columns where table_name = 'audit_log'")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(columns.len(), 14);
    assert!(columns.iter().all(|column| EDITS.iter().any(|(edited, _)| edited == column)), "{columns:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_chain_is_verified_by_itself(pool: PgPool) {
    let log = Log::new(pool).await;
    let other = log.other_tenant().await;
    log.write(log.bench.tenant_id, 6).await;
    log.write(other, 2).await;
    let check = async |tenant_id| verify_chain(&log.bench.engine.db, log.keyring(), tenant_id).await.unwrap();
    assert_eq!((check(log.bench.tenant_id).await.entries, check(other).await.breaks), (6, vec![]));
    log.tamper("update audit_log set action = 'x' where tenant_id = $tenant and seq = 4").await;
    let places: Vec<i64> = check(log.bench.tenant_id).await.breaks.iter().map(|broken| broken.seq).collect();
    assert_eq!((places, check(other).await.breaks), (vec![4], vec![]));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edit_of_any_column_of_a_head_is_found(pool: PgPool) {
    let log = Log::new(pool.clone()).await;
    log.write(log.bench.tenant_id, 6).await;
    let other = log.other_tenant().await;
    log.keep_a_copy().await;
    let edits = [
        ("tenant_id", format!("'{other}'")),
        ("seq", "5".to_owned()),
        ("seq", "7".to_owned()),
        ("mac", "sha256(mac)".to_owned()),
        ("mac", "null".to_owned()),
        ("anchored_seq", "6".to_owned()),
        ("is_ending", "true".to_owned()),
        ("key_id", "'other'".to_owned()),
        ("key_id", "null".to_owned()),
        ("head_mac", "null".to_owned()),
        ("head_mac", "sha256(head_mac)".to_owned()),
    ];
    for (column, value) in &edits {
        log.tamper(&format!("update audit_heads set {column} = {value}")).await;
        let (_, breaks) = log.check().await;
        assert!(!breaks.is_empty(), "{column} = {value}");
        log.restore().await;
        log.assert_whole().await;
    }
    let columns: Vec<String> =
        sqlx::query_scalar("select column_name::text from information_schema.columns where table_name = 'audit_heads'")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(columns.len(), 7);
    assert!(columns.iter().all(|column| edits.iter().any(|(edited, _)| edited == column)), "{columns:?}");
}

/// An entry of the tenant, as a forger with access to the whole table would make it.
const FORGED: &str = "insert into audit_log select (jsonb_populate_record(audit_log, jsonb_build_object('id',
    gen_random_uuid(), 'seq', 7))).* from audit_log where tenant_id = $tenant and seq = 6";

#[sqlx::test(migrations = "../migrations")]
async fn what_was_removed_moved_or_forged_is_found_where_it_was(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 6).await;
    let other = log.other_tenant().await;
    log.write(other, 2).await;
    log.keep_a_copy().await;
    let mine = "where tenant_id = $tenant and seq";
    let moved = format!("update audit_log set tenant_id = '{other}', seq = 3 {mine} = 6");
    let swap = |one: i64, two: i64| {
        format!(
            "update audit_log set seq = -1 {mine} = {one}; update audit_log set seq = {one} {mine} = {two};
             update audit_log set seq = {two} {mine} = -1"
        )
    };
    let behind = "update audit_heads set seq = 7";
    let table: Vec<(String, Vec<(i64, Fault)>)> = vec![
        (format!("delete from audit_log {mine} = 3"), vec![(3, Fault::Missing(3))]),
        (format!("delete from audit_log {mine} in (1, 2)"), vec![(1, Fault::Missing(2))]),
        (format!("delete from audit_log {mine} > 4"), vec![(5, Fault::TailCut(6))]),
        ("delete from audit_log where tenant_id = $tenant".to_owned(), vec![(1, Fault::TailCut(6))]),
        (swap(2, 5), vec![(2, Fault::Changed), (3, Fault::Changed), (5, Fault::Changed), (6, Fault::Changed)]),
        (swap(3, 4), vec![(3, Fault::Changed), (4, Fault::Changed), (5, Fault::Changed)]),
        (
            "update audit_log as one set mac = two.mac from audit_log as two where one.tenant_id = $tenant and one.seq = 5
               and two.tenant_id = $tenant and two.seq = 4"
                .to_owned(),
            vec![(5, Fault::Changed), (6, Fault::Changed)],
        ),
        (FORGED.to_owned(), vec![(7, Fault::BehindHead)]),
        (format!("{FORGED}; {behind} where tenant_id = $tenant"), vec![(7, Fault::Changed), (7, Fault::HeadChanged)]),
        (moved.clone(), vec![(6, Fault::TailCut(6)), (3, Fault::BehindHead)]),
        ("delete from audit_heads where tenant_id = $tenant".to_owned(), vec![(6, Fault::HeadMissing)]),
    ];
    for (sql, expected) in table {
        log.tamper(&sql).await;
        let (_, breaks) = log.check().await;
        assert_eq!(faults(&breaks), expected, "{sql}");
        log.restore().await;
        log.assert_whole().await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_written_after_tampering_does_not_heal_it(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 6).await;
    log.keep_a_copy().await;
    let cut = "delete from audit_log where tenant_id = $tenant and seq > 4";
    for sql in [
        format!("{cut}; update audit_heads set seq = 4, mac = (select mac from audit_log where seq = 4)"),
        format!("{cut}; delete from audit_heads"),
        "delete from audit_heads".to_owned(),
        "update audit_heads set seq = 0, mac = null, key_id = null, head_mac = null".to_owned(),
        "update audit_log set action = 'x' where seq = 6".to_owned(),
    ] {
        log.tamper(&sql).await;
        log.write(log.bench.tenant_id, 2).await;
        let (report, breaks) = log.check().await;
        assert!(!breaks.is_empty(), "{sql}");
        assert!(report.entries >= 6, "people go on working: {sql}");
        log.restore().await;
    }
}
