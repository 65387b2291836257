use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::PgPool;

use super::*;
use crate::{
    connections::store::{AccountStatus, list_accounts},
    engine::JobState,
    mail::{Email, SendMail},
    testing::Bench,
};

const PERSON: &str = "10220000000000011";

async fn now(bench: &Bench) -> DateTime<Utc> {
    bench.engine.db.system().await.unwrap().now().await.unwrap()
}

/// Returns what Meta sends, signed with the secret of the sandbox's app.
fn signed(person: &str, issued_at: DateTime<Utc>) -> String {
    let payload = json!({ "user_id": person, "algorithm": "HMAC-SHA256", "issued_at": issued_at.timestamp() });
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    let mac = Hmac::<Sha256>::new_from_slice(b"sandbox-app-secret").unwrap().chain_update(&payload);
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

async fn accept(bench: &Bench, signed_request: &str, erases_data: bool) -> Uuid {
    let now = now(bench).await;
    let (provider, report) = bench.engine.services.providers.read_report("meta", signed_request, now).unwrap();
    let mut tx = bench.engine.db.system().await.unwrap();
    let id = deauthorize(&mut tx, (provider, &report), signed_request, erases_data).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn row(bench: &Bench, id: Uuid) -> DeauthorizationRow {
    let mut tx = bench.engine.db.system().await.unwrap();
    store::get_deauthorization(&mut tx, id).await.unwrap().unwrap()
}

async fn status(bench: &Bench) -> (AccountStatus, Option<String>) {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let account = list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0);
    (account.status, account.status_reason)
}

async fn count(bench: &Bench, sql: &'static str) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

const LIVE: &str = "select count(*) from oauth_tokens where access_token <> ''";

#[test]
fn the_payload_keeps_its_form() {
    let job = Deauthorize { deauthorization_id: Uuid::nil() };
    assert_eq!(serde_json::to_value(job).unwrap(), json!({ "deauthorization_id": Uuid::nil() }));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_connections_of_a_person_end_in_every_tenant(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let (first, second) = (bench.tenant_id, TenantId::new());
    bench.connect_page().await;
    bench.insert_tenant(second, "Hults Cafe").await;
    bench.tenant_id = second;
    bench.connect_page().await;
    assert_eq!(count(&bench, LIVE).await, 4);
    let id = accept(&bench, &signed(PERSON, now(&bench).await), false).await;
    let job = bench.enqueue_for_system(&Deauthorize { deauthorization_id: id }).await;
    assert_eq!(bench.run(job).await.result.unwrap(), json!({ "tokens": 4, "accounts": 2 }));
    assert_eq!(count(&bench, LIVE).await, 0);
    for tenant_id in [first, second] {
        bench.tenant_id = tenant_id;
        let (status, reason) = status(&bench).await;
        assert_eq!(status, AccountStatus::NeedsReauth);
        assert!(reason.unwrap().contains("removed Linecook at Facebook"));
    }
    let mails = bench.enqueued::<SendMail>().await;
    let told = mails.iter().filter(|mail| matches!(mail.email, Email::AccountNeedsAttention { .. }));
    assert_eq!(told.count(), 2, "the people of each tenant");
    let done = row(&bench, id).await;
    assert_eq!((done.tokens_erased, done.accounts_ended, done.subject_id), (4, 2, None));
    assert!(done.ended_at.is_some());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_report_twice_is_one_and_does_not_end_a_later_connection(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let report = signed(PERSON, now(&bench).await);
    let first = accept(&bench, &report, false).await;
    assert_eq!(accept(&bench, &report, false).await, first);
    bench.drain().await;
    bench.engine.db.shift_clock(Duration::from_mins(5));
    bench.connect_page().await;
    assert_eq!(accept(&bench, &report, false).await, first);
    bench.drain().await;
    assert_eq!((status(&bench).await.0, count(&bench, LIVE).await), (AccountStatus::Active, 2));
    let late = accept(&bench, &signed(PERSON, now(&bench).await - chrono::TimeDelta::minutes(4)), false).await;
    bench.drain().await;
    assert_eq!((row(&bench, late).await.tokens_erased, count(&bench, LIVE).await), (0, 2), "it was issued before");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_person_whose_data_is_erased_is_not_known_any_more(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let account = bench.connect_page().await;
    accept(&bench, &signed(PERSON, now(&bench).await), false).await;
    bench.drain().await;
    let known = "select count(*) from oauth_tokens where subject_id = '10220000000000011'";
    assert_eq!(count(&bench, known).await, 1, "so far only the tokens are erased");
    accept(&bench, &signed(PERSON, now(&bench).await + chrono::TimeDelta::seconds(1)), true).await;
    bench.drain().await;
    assert_eq!(count(&bench, known).await, 0);
    assert_eq!(bench.connect_page().await, account, "the Page keeps its history when somebody connects it again");
    assert_eq!(status(&bench).await.0, AccountStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_report_about_nobody_here_is_done_at_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let id = accept(&bench, &signed("5", now(&bench).await), true).await;
    bench.drain().await;
    let done = row(&bench, id).await;
    assert_eq!((done.tokens_erased, done.accounts_ended, done.ended_at.is_some()), (0, 0, true));
    assert_eq!(count(&bench, LIVE).await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_the_system_reads_reports_and_one_that_is_gone_is_nothing_to_do(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let gone = Deauthorize { deauthorization_id: Uuid::now_v7() };
    let (own, system) = (bench.enqueue(&gone).await, bench.enqueue_for_system(&gone).await);
    bench.drain().await;
    assert_eq!(bench.job(own).await.state, JobState::Discarded);
    assert!(bench.job(system).await.result.unwrap()["nothing"].is_string());
}
