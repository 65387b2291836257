use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::{
    connections::{RefreshToken, RefreshTokens, store::AccountStatus},
    engine::JobState,
    ids::{JobId, TokenId},
    mail::{Email, SendMail},
    testing::Bench,
};

async fn bench(pool: PgPool) -> Bench {
    let mut bench = Bench::new(pool).await;
    bench.use_drive();
    bench
}

/// Refreshes a token by a job of its own.
async fn refresh_by_job(bench: &Bench, token_id: TokenId) -> JobId {
    let job = bench.enqueue(&RefreshToken { token_id }).await;
    bench.run(job).await;
    job
}

async fn row(bench: &Bench, id: TokenId) -> TokenRow {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    store::get_token(&mut tx, bench.tenant_id, id).await.unwrap().unwrap()
}

async fn status(bench: &Bench) -> (AccountStatus, Option<String>) {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let account = store::list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0);
    (account.status, account.status_reason)
}

/// Returns the recorded outcomes, oldest first.
async fn history(bench: &Bench) -> Vec<String> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let outcomes = sqlx::query_scalar("select outcome from token_refresh_history order by id");
    outcomes.fetch_all(&mut *tx).await.unwrap()
}

/// Returns the subjects of alerts to the operators, and counts the emails to the tenant.
async fn told(bench: &Bench) -> (Vec<String>, usize) {
    let (mut alerts, mut emails) = (Vec::new(), 0);
    for mail in bench.enqueued::<SendMail>().await {
        if let Email::OperatorAlert { sort, .. } = mail.email {
            alerts.push(sort);
        } else {
            emails += 1;
        }
    }
    (alerts, emails)
}

async fn is_accepted(bench: &Bench, token: &SecretString) -> bool {
    let connector = bench.engine.services.providers.connector(crate::providers::sandbox_drive::PROVIDER).unwrap();
    connector.check(token).await.is_ok()
}

#[sqlx::test(migrations = "../migrations")]
async fn each_refresh_uses_the_refresh_token_of_the_last_one(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    for _ in 0..3 {
        let job = refresh_by_job(&bench, id).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }
    let row = row(&bench, id).await;
    let token = read_secrets(&bench.engine.services, bench.tenant_id, &row).unwrap();
    assert!(is_accepted(&bench, &token.secret).await && !row.is_ending);
    assert_eq!(history(&bench).await, ["refreshed"; 3]);
    let mut tx = bench.engine.db.system().await.unwrap();
    let taken: i64 = sqlx::query_scalar("select count(*) from refresh_slots where claim is not null")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(taken, 0, "each slot is free again");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_reply_without_a_refresh_token_keeps_the_old_one(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    let before = row(&bench, id).await.refresh_token;
    let reply = json!({ "token_type": "Bearer", "access_token": "da.next", "expires_in": 3600 });
    bench.sandbox.fault("drive_token", json!({ "status": 200, "body": reply })).await;
    refresh_by_job(&bench, id).await;
    let row = row(&bench, id).await;
    assert_eq!(row.refresh_token, before);
    let token = read_secrets(&bench.engine.services, bench.tenant_id, &row).unwrap();
    assert_eq!(token.secret.expose_secret(), "da.next");
}

#[sqlx::test(migrations = "../migrations")]
async fn no_failure_of_a_server_touches_the_token(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    let before = row(&bench, id).await;
    let faults = [
        json!({ "status": 503, "body": "<html>" }),
        json!({ "status": 500, "body": { "error": "invalid_grant" } }),
        json!({ "status": 400, "body": "<html>" }),
        json!({ "status": 200, "body": "<html>" }),
        json!({ "drop": "before" }),
        json!({ "truncate_body": 1, "status": 502, "body": "<html>" }),
    ];
    for fault in &faults {
        bench.sandbox.fault("drive_token", fault.clone()).await;
        let job = refresh_by_job(&bench, id).await;
        assert_eq!(bench.job(job).await.state, JobState::Retryable, "{fault}");
        bench.execute("delete from jobs where id = $1", job.0).await;
        let after = row(&bench, id).await;
        assert!(after.is_cooling && after.refresh_error.is_some());
        assert_eq!(
            (after.access_token, after.refresh_token),
            (before.access_token.clone(), before.refresh_token.clone())
        );
        bench.engine.db.shift_clock(COOLDOWN);
    }
    assert_eq!((status(&bench).await.0, told(&bench).await), (AccountStatus::Active, (vec![], 0)));
    assert_eq!(history(&bench).await, vec!["failed"; faults.len()]);
    let job = refresh_by_job(&bench, id).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(row(&bench, id).await.refresh_error, None);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_a_failure_nobody_tries_again_at_once(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    bench.sandbox.fault("drive_token", json!({ "status": 503, "body": "" })).await;
    let job = refresh_by_job(&bench, id).await;
    bench.drain_after(Duration::from_secs(5)).await;
    assert_eq!((bench.sandbox.calls("drive_token").await, bench.job(job).await.state), (1, JobState::Scheduled));
    bench.drain_after(COOLDOWN).await;
    assert_eq!((bench.sandbox.calls("drive_token").await, bench.job(job).await.state), (2, JobState::Completed));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dead_grant_needs_its_person_who_is_told_once(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    bench
        .sandbox
        .fault("drive_token", json!({ "times": 9, "status": 400, "body": { "error": "invalid_grant" } }))
        .await;
    for _ in 0..2 {
        let job = refresh_by_job(&bench, id).await;
        assert_eq!(bench.job(job).await.state, JobState::Discarded);
        bench.engine.db.shift_clock(COOLDOWN);
    }
    let (status, reason) = status(&bench).await;
    assert_eq!(status, AccountStatus::NeedsReauth);
    assert!(reason.unwrap().contains("connect the account again"));
    assert_eq!(told(&bench).await, (vec![], 1));
    assert_eq!(history(&bench).await, ["needs_reauth"; 2]);
    bench.engine.db.shift_clock(Duration::from_hours(48));
    let sweep = bench.enqueue_for_system(&RefreshTokens::default()).await;
    bench.run(sweep).await;
    assert!(bench.enqueued::<RefreshToken>().await.is_empty(), "nothing refreshes it by itself");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_app_that_is_refused_is_the_operators_affair(pool: PgPool) {
    let bench = bench(pool).await;
    let ids = bench.connect_drives(3, 0).await;
    bench
        .sandbox
        .fault("drive_token", json!({ "times": 9, "status": 401, "body": { "error": "invalid_client" } }))
        .await;
    for id in ids {
        let job = refresh_by_job(&bench, id).await;
        assert_eq!(bench.job(job).await.state, JobState::Retryable);
    }
    assert_eq!(status(&bench).await.0, AccountStatus::Active);
    assert_eq!(told(&bench).await, (vec!["OneDrive refuses our app".to_owned()], 0));
    assert_eq!(history(&bench).await, ["misconfigured"; 3]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_reply_that_a_dead_process_took_with_it_ends_with_an_alert(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    // The other process had the reply, but did not record it.
    let before = row(&bench, id).await;
    let token = read_secrets(&bench.engine.services, bench.tenant_id, &before).unwrap();
    let provider = crate::providers::sandbox_drive::PROVIDER;
    bench.engine.services.providers.connector(provider).unwrap().refresh(&token).await.unwrap();
    let claim = "
        update oauth_tokens
        set refresh_claim = id, refresh_claimed_until = clock_timestamp() - interval '1 second'
        where id = $1";
    bench.execute(claim, id.0).await;
    let job = refresh_by_job(&bench, id).await;
    assert_eq!(bench.job(job).await.state, JobState::Discarded);
    assert_eq!(status(&bench).await.0, AccountStatus::NeedsReauth);
    assert_eq!(told(&bench).await, (vec!["A connection was lost".to_owned()], 1));
    assert_eq!(history(&bench).await, ["interrupted", "needs_reauth"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn no_more_than_five_are_refreshed_at_once(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.connect_drives(1, 0).await[0];
    for _ in 0..AT_ONCE {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let provider = crate::providers::sandbox_drive::PROVIDER;
        assert!(store::take_slot(&mut tx, provider, Uuid::now_v7(), CLAIM, AT_ONCE).await.unwrap());
        tx.commit().await.unwrap();
    }
    let job = refresh_by_job(&bench, id).await;
    let job = bench.job(job).await;
    assert_eq!((job.state, job.failures), (JobState::Scheduled, 0));
    assert_eq!(bench.sandbox.calls("drive_token").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_is_refreshed_before_it_is_used_only_if_it_ends(pool: PgPool) {
    let bench = bench(pool).await;
    let (good, ending) = (bench.connect_drives(1, 3_000).await[0], bench.connect_drives(1, 60).await[0]);
    let probe = async |token_id, number| {
        let job = bench.enqueue(&crate::fault_probe::TokenProbe { token_id, number }).await;
        bench.run(job).await
    };
    assert_eq!(probe(good, 1).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.calls("drive_token").await, 0);
    bench.sandbox.fault("drive_token", json!({ "status": 503, "body": "" })).await;
    assert_eq!(probe(ending, 2).await.state, JobState::Completed, "the old one works for a minute");
    bench.engine.db.shift_clock(COOLDOWN);
    assert_eq!(probe(ending, 3).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.calls("drive_token").await, 2);
    assert!(!row(&bench, ending).await.is_ending);
}
