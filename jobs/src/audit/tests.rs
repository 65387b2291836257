//! Tests of the audit log, both as it should be and after tampering by somebody with every right in
//! the database.

mod anchors;
mod erasing;
mod tampering;
mod together;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use super::*;
use crate::{
    engine::JobState,
    secrets::Keyring,
    tenants,
    testing::{Bench, ENCRYPTION_KEYS},
};

/// Lists entries of a tenant, newest first.
async fn list_of(conn: &mut sqlx::PgConnection, tenant_id: TenantId, limit: i64) -> Vec<store::EntryRow> {
    let filter = store::EntryFilter { tenant_id: Some(tenant_id), ..store::EntryFilter::default() };
    store::list(conn, &filter, limit).await.unwrap().entries
}

/// A bench whose tenant has a log.
pub(super) struct Log {
    pub(super) bench: Bench,
}

impl Log {
    pub(super) async fn new(pool: PgPool) -> Self {
        Self { bench: Bench::new(pool).await }
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.bench.engine.services.keyring
    }

    pub(super) fn entry(tenant_id: TenantId, details: Value) -> Entry {
        Entry {
            tenant_id,
            action: "thing.change".to_owned(),
            object_type: "thing",
            object_id: "17".to_owned(),
            details,
        }
    }

    /// Writes `count` entries of a tenant, each in its own transaction.
    pub(super) async fn write(&self, tenant_id: TenantId, count: usize) {
        for number in 0..count {
            self.append(&[Self::entry(tenant_id, json!({ "number": number }))]).await.unwrap();
        }
    }

    pub(super) async fn append(&self, entries: &[Entry]) -> Result<(), sqlx::Error> {
        let actor = Actor::person(Uuid::now_v7(), "krusty@example.com".to_owned(), Some("192.0.2.1".to_owned()));
        let mut tx = self.bench.engine.db.system().await?;
        append(&mut tx, self.keyring(), &actor, entries).await?;
        tx.commit().await
    }

    pub(super) async fn other_tenant(&self) -> TenantId {
        let mut tx = self.bench.engine.db.system().await.unwrap();
        let tenant =
            tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", tenants::plans::Plan::Basic).await.unwrap();
        tx.commit().await.unwrap();
        tenant.id
    }

    pub(super) async fn check(&self) -> (Report, Vec<Break>) {
        self.check_with(self.keyring(), None).await
    }

    pub(super) async fn check_with(&self, keyring: &Keyring, known: Option<KnownHead>) -> (Report, Vec<Break>) {
        let mut breaks = Vec::new();
        let mut tell = |broken: &Break| breaks.push(broken.clone());
        let report = verify(&self.bench.engine.db, keyring, known, &mut tell).await.unwrap();
        assert_eq!(report.breaks, u64::try_from(breaks.len()).unwrap());
        (report, breaks)
    }

    pub(super) async fn assert_whole(&self) -> Report {
        let (report, breaks) = self.check().await;
        assert_eq!(breaks, []);
        report
    }

    /// Runs SQL as the owner of the tables; `$tenant` stands for the bench's tenant.
    pub(super) async fn tamper(&self, sql: &str) {
        let sql = sql.replace("$tenant", &format!("'{}'", self.bench.tenant_id));
        let sql = format!(
            "alter table audit_log disable trigger user; alter table audit_heads disable trigger user; \
             alter table audit_log drop constraint if exists audit_log_is_chained; {sql}; \
             alter table audit_log enable trigger user; alter table audit_heads enable trigger user"
        );
        let mut tx = self.bench.engine.db.system().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(super) async fn keep_a_copy(&self) {
        self.tamper("create table kept_log as table audit_log; create table kept_heads as table audit_heads").await;
    }

    pub(super) async fn restore(&self) {
        self.tamper(
            "delete from audit_log; insert into audit_log select * from kept_log;
             delete from audit_heads; insert into audit_heads select * from kept_heads",
        )
        .await;
    }

    pub(super) async fn anchor(&self) -> Value {
        let job = self.bench.enqueue_for_system(&AnchorAuditLog::default()).await;
        let job = self.bench.run(job).await;
        assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
        job.result.unwrap()
    }
}

pub(super) fn faults(breaks: &[Break]) -> Vec<(i64, Fault)> {
    breaks.iter().map(|broken| (broken.seq, broken.fault.clone())).collect()
}

#[test]
fn what_stored_payloads_say_of_an_actor_is_still_read() {
    let of_before = json!({ "key_id": Uuid::nil(), "name": "x" });
    let read: Actor = serde_json::from_value(of_before).unwrap();
    assert_eq!(read, Actor::key(Uuid::nil(), "x".to_owned(), None));
    let person = Actor::person(Uuid::now_v7(), "y".to_owned(), Some("192.0.2.1".to_owned()));
    assert_eq!(serde_json::from_value::<Actor>(json!(person)).unwrap(), person);
}

/// Any value that can be recorded: all of JSON, with its edge cases.
fn anything(depth: u8) -> Value {
    let text = || -> String {
        let edges = ['\0', '\u{1}', '\n', '"', '\\', '/', '\u{7f}', 'é', '\u{2028}', '\u{ffff}', '😀', '\u{10ffff}'];
        (0..rand::random::<u8>() % 12)
            .map(|_| match rand::random::<u8>() {
                byte @ 0..128 => char::from(byte),
                byte => edges[usize::from(byte) % edges.len()],
            })
            .collect()
    };
    match rand::random::<u8>() % if depth == 0 { 6 } else { 8 } {
        0 => Value::Null,
        1 => json!(rand::random::<bool>()),
        2 => json!(rand::random::<i64>()),
        3 => json!(rand::random::<u64>()),
        4 => json!(f64::from_bits(rand::random())),
        5 => json!(text()),
        6 => (0..rand::random::<u8>() % 5).map(|_| anything(depth - 1)).collect(),
        _ => Value::Object((0..rand::random::<u8>() % 5).map(|_| (text(), anything(depth - 1))).collect()),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn whatever_is_written_down_is_whole_when_it_is_read(pool: PgPool) {
    let log = Log::new(pool).await;
    let tenant_id = log.bench.tenant_id;
    let edges =
        [json!(1e16), json!(-0.0), json!(5e-324), json!(f64::MAX), json!(u64::MAX), json!({ "": { "b": 1, "a": 2 } })];
    let random = (0..1_000).map(|_| anything(4));
    let entries: Vec<Entry> = edges.into_iter().chain(random).map(|details| Log::entry(tenant_id, details)).collect();
    log.append(&entries).await.unwrap();
    let report = log.assert_whole().await;
    assert_eq!((report.chains, report.entries, report.of_before), (1, 1_006, 0));
    let mut tx = log.bench.engine.db.tenant(tenant_id).await.unwrap();
    let rows = list_of(&mut tx, tenant_id, 2_000).await;
    let seqs: Vec<i64> = rows.iter().filter_map(|row| row.seq).collect();
    assert_eq!(seqs, (1..=1_006).rev().collect::<Vec<_>>(), "the list has the order of the chain");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_application_cannot_change_what_is_there(pool: PgPool) {
    let log = Log::new(pool).await;
    log.write(log.bench.tenant_id, 2).await;
    for sql in [
        "update audit_log set action = 'x'",
        "delete from audit_log",
        "truncate audit_log",
        "update audit_heads set seq = 1",
        "delete from audit_heads",
        "truncate audit_heads",
        "set local app.erasing_tenant = '00000000-0000-0000-0000-000000000000'; delete from audit_log",
    ] {
        let mut tx = log.bench.engine.db.system().await.unwrap();
        let refused = sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap_err().to_string();
        assert!(refused.contains("append-only") || refused.contains("permission denied"), "{sql}: {refused}");
    }
    let sql = "insert into audit_log (id, tenant_id, actor_id, actor_kind, actor_name, action, object_type, object_id,
        details) select id, tenant_id, id, 'key', '', '', '', '', '{}' from api_keys right join (select $1 as id, $1 as
        tenant_id) as new using (id, tenant_id)";
    let mut tx = log.bench.engine.db.system().await.unwrap();
    let refused = sqlx::query(sql).bind(log.bench.tenant_id.0).execute(&mut *tx).await.unwrap_err().to_string();
    assert!(refused.contains("audit_log_is_chained"), "{refused}");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_an_older_key_signed_is_verified_as_long_as_it_is_there(pool: PgPool) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};
    let mut log = Log::new(pool).await;
    let tenant_id = log.bench.tenant_id;
    log.write(tenant_id, 2).await;
    let new = format!("new:{}", STANDARD.encode(Sha256::digest("new")));
    let old = ENCRYPTION_KEYS;
    let with_both = Keyring::parse(&format!("{new},{old}")).unwrap();
    let with_new = Keyring::parse(&new).unwrap();
    let services = std::sync::Arc::make_mut(&mut log.bench.engine.services);
    services.keyring = with_new.clone();
    let refused = log.append(&[Log::entry(tenant_id, json!({}))]).await.unwrap_err().to_string();
    assert!(refused.contains("ENCRYPTION_KEYS"), "{refused}");
    std::sync::Arc::make_mut(&mut log.bench.engine.services).keyring = with_both;
    log.write(tenant_id, 2).await;
    log.assert_whole().await;
    let (_, breaks) = log.check_with(&with_new, None).await;
    let unknown = || Fault::UnknownKey("test".to_owned());
    assert_eq!(faults(&breaks), [(1, unknown()), (2, unknown())]);
}

#[sqlx::test(migrations = "../migrations")]
async fn entries_of_before_are_counted_and_late_ones_found(pool: PgPool) {
    let log = Log::new(pool).await;
    let outside =
        "insert into audit_log (id, tenant_id, actor_id, actor_kind, actor_name, action, object_type, object_id,
        details) values (gen_random_uuid(), $tenant, gen_random_uuid(), 'key', 'x', 'x', 'x', 'x', '{}')";
    log.tamper(outside).await;
    let report = log.assert_whole().await;
    assert_eq!((report.of_before, report.entries), (1, 0));
    log.write(log.bench.tenant_id, 1).await;
    let report = log.assert_whole().await;
    assert_eq!((report.of_before, report.entries), (1, 1));
    log.tamper(outside).await;
    let (_, breaks) = log.check().await;
    assert_eq!(faults(&breaks), [(0, Fault::Unchained(1))]);
}
