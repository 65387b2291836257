use sqlx::PgPool;

use super::*;
use crate::{
    connections::{
        RefreshToken, disconnect,
        store::{AccountRow, AccountStatus, list_accounts},
    },
    ids::JobId,
    posts::{self, NewPost, ScheduleError},
    testing::Bench,
};

async fn account(bench: &Bench) -> AccountRow {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0)
}

/// Disconnects an account, and returns the job that does the rest.
async fn leave(bench: &Bench, id: AccountId, waiting: Waiting) -> JobId {
    let (services, actor) = (&bench.engine.services, Actor::command_line());
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let job = disconnect(&mut tx, services, &actor, id, waiting).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    job.id
}

/// Returns how many tokens are stored that are not erased, those to be revoked too.
async fn tokens_left(bench: &Bench) -> (i64, i64) {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select (select count(*) from oauth_tokens where access_token <> '' or refresh_token is not null),
                 (select count(*) from revocations)";
    sqlx::query_as(sql).fetch_one(&mut *tx).await.unwrap()
}

async fn post_tomorrow(bench: &Bench, id: AccountId) -> JobId {
    let job = bench.post("Pizza", id, None).await;
    bench
        .execute("update jobs set state = 'scheduled', run_at = engine_now() + interval '1 day' where id = $1", job.0)
        .await;
    job
}

async fn delivery(bench: &Bench, job: JobId) -> (String, Option<String>) {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select state, blocked_by from post_history where job_id = $1";
    sqlx::query_as(sql).bind(job.0).fetch_one(&mut *tx).await.unwrap()
}

async fn result(bench: &Bench, job: JobId) -> serde_json::Value {
    bench.drain().await;
    bench.job(job).await.result.unwrap()
}

#[test]
fn the_payload_keeps_its_form() {
    let job = DisconnectAccount {
        account_id: AccountId(Uuid::nil()),
        waiting: Waiting::Pause,
        is_kept: false,
        revocation_id: Some(Uuid::nil()),
    };
    assert_eq!(
        serde_json::to_value(job).unwrap(),
        json!({ "account_id": Uuid::nil(), "waiting": "pause", "is_kept": false, "revocation_id": Uuid::nil() })
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_is_revoked_its_tokens_erased_and_its_waiting_posts_cancelled(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    let post = post_tomorrow(&bench, id).await;
    let job = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(tokens_left(&bench).await, (0, 1), "erased with the request, except to revoke");
    let result = result(&bench, job).await;
    assert_eq!((&result["revocation"], &result["waiting"]["done"]), (&json!("revoked"), &json!({ "cancelled": 1 })));
    assert_eq!((bench.sandbox.calls("revoke_permissions").await, tokens_left(&bench).await), (1, (0, 0)));
    assert_eq!(delivery(&bench, post).await.0, "cancelled");
    let account = account(&bench).await;
    assert_eq!((account.status, account.status_reason), (AccountStatus::Disconnected, None));
}

#[sqlx::test(migrations = "../migrations")]
async fn twice_it_is_done_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    let first = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(leave(&bench, id, Waiting::Cancel).await, first, "one job");
    bench.drain().await;
    let again = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(result(&bench, again).await["revocation"], "nothing_left");
    assert_eq!(bench.sandbox.calls("revoke_permissions").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_that_is_not_there_is_not_disconnected(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let (services, actor) = (&bench.engine.services, Actor::command_line());
    assert!(disconnect(&mut tx, services, &actor, AccountId::new(), Waiting::Cancel).await.unwrap().is_none());
}

#[sqlx::test(migrations = "../migrations")]
async fn paused_posts_wait_and_go_out_when_the_page_is_connected_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    let post = post_tomorrow(&bench, id).await;
    let job = leave(&bench, id, Waiting::Pause).await;
    result(&bench, job).await;
    bench.drain_after(Duration::from_hours(25)).await;
    let (state, blocked_by) = delivery(&bench, post).await;
    assert_eq!(state, "scheduled");
    assert!(blocked_by.unwrap().contains("disconnected"));
    assert_eq!(account(&bench).await.status, AccountStatus::Disconnected, "nobody is asked to connect it");
    assert_eq!(bench.connect_page().await, id, "the same account");
    bench.drain().await;
    assert_eq!(delivery(&bench, post).await.0, "published");
}

#[sqlx::test(migrations = "../migrations")]
async fn with_the_provider_down_tokens_are_erased_and_the_revocation_tried_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    bench.sandbox.fault("revoke_permissions", json!({ "status": 503, "body": "<html>", "times": 2 })).await;
    let job = leave(&bench, id, Waiting::Cancel).await;
    bench.drain().await;
    assert_eq!((bench.job(job).await.state, tokens_left(&bench).await), (JobState::Retryable, (0, 1)));
    bench.drain_after(Duration::from_secs(3)).await;
    bench.drain_after(Duration::from_secs(13)).await;
    assert_eq!(bench.job(job).await.result.unwrap()["revocation"], "revoked");
    assert_eq!(tokens_left(&bench).await, (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_revocation_that_is_given_up_says_what_to_do_and_keeps_no_token(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    bench.sandbox.fault("revoke_permissions", json!({ "status": 503, "times": 99 })).await;
    let job = leave(&bench, id, Waiting::Cancel).await;
    for _ in 0..13 {
        bench.drain_after(Duration::from_hours(16)).await;
    }
    assert_eq!((bench.job(job).await.state, tokens_left(&bench).await), (JobState::Discarded, (0, 0)));
    assert!(account(&bench).await.status_reason.unwrap().contains("can remove Linecook"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_grant_that_is_dead_already_counts_as_revoked(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    bench.sandbox.graph_error("revoke_permissions", 190, 458).await;
    let job = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(result(&bench, job).await["revocation"], "revoked");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_permission_that_another_tenant_needs_stays(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let (first, second) = (bench.tenant_id, TenantId::new());
    let id = bench.connect_page().await;
    bench.insert_tenant(second, "Hults Cafe").await;
    bench.tenant_id = second;
    let kept = bench.connect_page().await;
    bench.tenant_id = first;
    let job = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(result(&bench, job).await["revocation"], "kept_for_others");
    assert_eq!((bench.sandbox.calls("revoke_permissions").await, tokens_left(&bench).await), (0, (2, 0)));
    bench.tenant_id = second;
    let post = bench.post("Pizza", kept, None).await;
    bench.drain().await;
    assert_eq!(delivery(&bench, post).await.0, "published");
}

/// Connects a person with two Pages. Returns both accounts.
async fn two_pages(bench: &Bench) -> [AccountId; 2] {
    let pages =
        json!([{ "id": "10158250000000101", "name": "Krusty" }, { "id": "10158250000000102", "name": "Hults" }]);
    let people = json!([{ "id": "10220000000000011", "name": "Ada", "pages": pages }]);
    bench.sandbox.control("people", json!({ "people": people })).await;
    bench.connect_page().await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let accounts = list_accounts(&mut tx, bench.tenant_id).await.unwrap();
    [accounts[0].id, accounts[1].id]
}

#[sqlx::test(migrations = "../migrations")]
async fn the_other_page_of_the_same_person_goes_on_and_a_refresh_brings_nothing_back(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let [left, kept] = two_pages(&bench).await;
    let job = leave(&bench, left, Waiting::Cancel).await;
    assert_eq!(result(&bench, job).await["revocation"], "kept_for_others");
    assert_eq!((bench.sandbox.calls("revoke_permissions").await, tokens_left(&bench).await), (0, (2, 0)));
    let token_id = account(&bench).await.user_token_id;
    bench.engine.db.shift_clock(Duration::from_mins(1));
    let refresh = bench.enqueue(&RefreshToken { token_id }).await;
    assert_eq!(result(&bench, refresh).await["accounts"], json!([kept]));
    assert_eq!(tokens_left(&bench).await, (2, 0), "its token is still erased");
    let post = bench.post("Pizza", kept, None).await;
    bench.drain().await;
    assert_eq!(delivery(&bench, post).await.0, "published");

    let last = leave(&bench, kept, Waiting::Cancel).await;
    assert_eq!(result(&bench, last).await["revocation"], "revoked");
    assert_eq!(tokens_left(&bench).await, (0, 0));
    for token_id in [token_id, crate::ids::TokenId::new()] {
        let refresh = bench.enqueue(&RefreshToken { token_id }).await;
        assert!(result(&bench, refresh).await["nothing"].is_string(), "there is nothing to refresh any more");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_person_who_connects_again_meanwhile_keeps_everything(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    let post = post_tomorrow(&bench, id).await;
    let login = bench.begin_login().await;
    let job = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(bench.run(login).await.state, JobState::Completed, "connected before the rest is done");
    assert_eq!(result(&bench, job).await["revocation"], "kept_for_others");
    assert_eq!((delivery(&bench, post).await.0.as_str(), tokens_left(&bench).await), ("scheduled", (2, 0)));
    assert_eq!(account(&bench).await.status, AccountStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_call_that_may_have_happened_is_left_for_a_person(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "after" })).await;
    let post = bench.post("Pizza", id, None).await;
    bench.drain().await;
    let job = leave(&bench, id, Waiting::Cancel).await;
    assert_eq!(result(&bench, job).await["waiting"]["skipped"], json!({ "outcome_unknown": 1 }));
    bench.drain_after(Duration::from_hours(1)).await;
    assert_eq!(delivery(&bench, post).await.0, "submitting", "nobody can look for it any more");
    for _ in 0..3 {
        bench.drain_after(Duration::from_hours(13)).await;
    }
    assert_eq!(delivery(&bench, post).await.0, "unknown");
    assert_eq!((bench.sandbox.calls("publish_feed").await, bench.sandbox.calls("read_feed").await), (1, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_new_is_scheduled_on_a_disconnected_account(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.connect_page().await;
    leave(&bench, id, Waiting::Cancel).await;
    let new = NewPost { caption: "Pizza".to_owned(), asset_id: None, accounts: vec![id] };
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let (services, actor) = (&bench.engine.services, Actor::command_line());
    let refused = posts::create(&mut tx, services, &actor, bench.tenant_id, &new).await;
    assert!(matches!(refused, Err(ScheduleError::Disconnected)), "{refused:?}");
}
