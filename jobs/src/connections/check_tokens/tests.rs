use sqlx::PgPool;

use super::*;
use crate::{
    connections::{
        RefreshToken,
        store::{AccountRow, AccountStatus, list_accounts},
    },
    engine::JobState,
    mail::SendMail,
    testing::Bench,
};

const DAY: Duration = Duration::from_hours(24);

async fn account(bench: &Bench) -> AccountRow {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0)
}

/// Moves the clocks of the database and of the sandbox.
async fn pass(bench: &Bench, days: u32) {
    bench.engine.db.shift_clock(days * DAY);
    bench.sandbox.control("clock", json!({ "advance_seconds": days * 86_400 })).await;
}

/// Runs the reconciler, and no other job.
async fn reconcile(bench: &Bench) -> serde_json::Value {
    let job = bench.enqueue_for_system(&CheckTokens::default()).await;
    bench.run(job).await.result.unwrap()
}

/// Runs the checks that are due today.
async fn check(bench: &Bench) {
    reconcile(bench).await;
    bench.drain_after(SPREAD.to_std().unwrap()).await;
}

async fn health(bench: &Bench) -> store::TokenHealth {
    let id = account(bench).await.id;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    store::get_token_health(&mut tx, id, 7, DAY).await.unwrap().unwrap()
}

async fn warnings(bench: &Bench) -> Vec<i16> {
    let mut all = Vec::new();
    for mail in bench.enqueued::<SendMail>().await {
        if let (Email::ConnectionEnding { days, .. }, None) = (mail.email, mail.to) {
            all.push(days);
        }
    }
    all
}

#[test]
fn the_payloads_keep_their_form() {
    assert_eq!(serde_json::to_value(CheckTokens::default()).unwrap(), json!({}));
    let check = CheckToken { token_id: crate::ids::TokenId(uuid::Uuid::nil()) };
    assert_eq!(serde_json::to_value(check).unwrap(), json!({ "token_id": uuid::Uuid::nil() }));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_is_checked_once_a_day_and_described(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    assert_eq!(health(&bench).await.data_access_expires_at, None);
    check(&bench).await;
    let described = health(&bench).await;
    assert!(described.checked_at.is_some() && described.data_access_expires_at > described.expires_at);
    assert!(described.scopes.contains(&"pages_manage_posts".to_owned()));
    assert_eq!(described.next_refresh_at, described.expires_at.map(|end| end - TimeDelta::days(7)));
    check(&bench).await;
    assert_eq!(bench.sandbox.calls("debug_token").await, 1);
    pass(&bench, 1).await;
    check(&bench).await;
    assert_eq!(bench.sandbox.calls("debug_token").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_that_the_provider_ended_needs_its_person(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let person = bench.sandbox.observe("state").await["current"].clone();
    bench.sandbox.control("tokens/invalidate", json!({ "user_id": person, "subcode": 460 })).await;
    check(&bench).await;
    assert_eq!(account(&bench).await.status, AccountStatus::NeedsReauth);
    assert_eq!(health(&bench).await.next_refresh_at, None);
    pass(&bench, 2).await;
    assert_eq!(reconcile(&bench).await, json!({ "tokens": 0, "warned": 0 }), "nothing is left to check");
}

/// Meta refuses the token of an app with a wrong secret as it refuses a person's.
#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_secret_of_our_app_touches_no_account(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    bench.sandbox.control("switches", json!({ "app_secret": "another", "require_proof": false })).await;
    check(&bench).await;
    assert_eq!(bench.sandbox.calls("debug_token").await, 1);
    let checks = bench.enqueued::<CheckToken>().await;
    assert_eq!((checks.len(), account(&bench).await.status), (1, AccountStatus::Active), "it is tried again");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_check_that_fails_touches_nothing(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let token_id = account(&bench).await.user_token_id;
    bench.sandbox.fault("debug_token", json!({ "status": 502, "body": "<html>", "times": 9 })).await;
    let job = bench.enqueue(&CheckToken { token_id }).await;
    for _ in 0..9 {
        bench.drain_after(Duration::from_mins(10)).await;
    }
    assert_eq!(bench.job(job).await.state, JobState::Discarded);
    assert_eq!(account(&bench).await.status, AccountStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn people_are_warned_once_at_each_of_three_times_that_their_consent_ends(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    check(&bench).await;
    assert_eq!((warnings(&bench).await, account(&bench).await.ends_at), (vec![], None));
    // The consent lasts for 90 days; refreshes do not move it.
    bench
        .execute(
            "update oauth_tokens set data_access_expires_at = engine_now() + interval '20 days' where tenant_id = $1",
            bench.tenant_id.0,
        )
        .await;
    let mut warned = Vec::new();
    for day in 0..20 {
        for _ in 0..2 {
            reconcile(&bench).await;
            warned.extend(warnings(&bench).await.into_iter().map(|days| (day, days)));
            bench.execute("delete from jobs where kind = 'send_mail' and tenant_id = $1", bench.tenant_id.0).await;
        }
        bench.engine.db.shift_clock(DAY);
    }
    assert_eq!(warned, [(6, 14), (13, 7), (19, 1)]);
    assert!(account(&bench).await.ends_at.is_some());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_that_refreshes_by_itself_warns_nobody_until_a_refresh_fails(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    pass(&bench, 54).await;
    reconcile(&bench).await;
    assert!(warnings(&bench).await.is_empty());
    let token_id = account(&bench).await.user_token_id;
    bench.sandbox.fault("exchange_token", json!({ "status": 503, "body": "" })).await;
    let refresh = bench.enqueue(&RefreshToken { token_id }).await;
    bench.run(refresh).await;
    reconcile(&bench).await;
    assert_eq!(warnings(&bench).await, [7]);
    bench.drain_after(Duration::from_mins(2)).await;
    assert_eq!(bench.job(refresh).await.state, JobState::Completed);
    assert_eq!(account(&bench).await.ends_at, None);
}
