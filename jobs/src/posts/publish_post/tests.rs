//! Tests of publishing a delivery, with every fault of the network.

mod claims;
mod emails;
mod errors;
mod resolving;
mod scheduling;

use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::{
    engine::{
        JobState,
        ledger::{self, ActionError},
    },
    ids::JobId,
    posts::DeliveryState,
    testing::Bench,
};

const CAPTION: &str = "Two for one on Tuesday #pizza";

/// Makes a post that is due, and the job that publishes it.
async fn due(bench: &Bench, with_picture: bool) -> JobId {
    let account_id = bench.connect_page().await;
    let asset_id = if with_picture { Some(bench.picture().await) } else { None };
    bench.post(CAPTION, account_id, asset_id).await
}

async fn delivery(bench: &Bench, job_id: JobId) -> store::DeliveryRow {
    let id: Uuid = bench.job(job_id).await.args["delivery_id"].as_str().unwrap().parse().unwrap();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let posts = store::list_posts(&mut tx, bench.tenant_id, None, 10).await.unwrap();
    let ids: Vec<Uuid> = posts.iter().map(|post| post.id.0).collect();
    let deliveries = store::list_deliveries(&mut tx, bench.tenant_id, &ids).await.unwrap();
    deliveries.into_iter().find(|delivery| delivery.id.0 == id).unwrap()
}

async fn effect_state(bench: &Bench, job_id: JobId) -> String {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let effects = ledger::list_effects(&mut tx, bench.tenant_id, job_id).await.unwrap();
    effects[0].state.name().to_owned()
}

#[test]
fn the_payload_keeps_its_form() {
    let delivery_id = DeliveryId(Uuid::nil());
    let payload = serde_json::to_value(PublishPost { delivery_id }).unwrap();
    assert_eq!(payload, json!({ "delivery_id": "00000000-0000-0000-0000-000000000000" }));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_post_with_a_picture_goes_out(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, true).await;
    bench.drain().await;
    let effects = bench.sandbox.effects().await;
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0]["message"], CAPTION);
    assert_eq!((&effects[0]["picture"]["width"], &effects[0]["picture"]["height"]), (&json!(640), &json!(480)));
    let delivery = delivery(&bench, job).await;
    assert_eq!((delivery.state.name(), delivery.remote_id.as_deref()), ("published", effects[0]["post_id"].as_str()));
    assert_eq!(
        (bench.job(job).await.state.name(), effect_state(&bench, job).await.as_str()),
        ("completed", "confirmed")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_published_post_is_not_published_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.drain().await;
    let again = bench.enqueue(&PublishPost { delivery_id: delivery(&bench, job).await.id }).await;
    assert_ne!(again, job);
    bench.drain().await;
    assert_eq!(bench.sandbox.effects().await.len(), 1);
    assert_eq!(bench.job(again).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_sent_for_a_delivery_that_is_gone(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    let id = delivery(&bench, job).await.id;
    bench.execute("delete from post_history where id = $1", id.0).await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.effects().await.len(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rate_limit_puts_it_off_at_no_cost(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.graph_error("publish_feed", 32, 0).await;
    bench.drain().await;
    let row = bench.job(job).await;
    assert_eq!((row.state, row.failures), (JobState::Suspended, 0));
    assert!(row.suspended_on.unwrap().starts_with("account:"), "the limit is the account's");
    assert_eq!(
        (delivery(&bench, job).await.state.name(), effect_state(&bench, job).await.as_str()),
        ("scheduled", "intended")
    );
    bench.drain_after(Duration::from_secs(601)).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.effects().await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refusal_of_the_content_fails_it_for_good(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.graph_error("publish_feed", 100, 2_061_006).await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Discarded);
    assert_eq!(
        (delivery(&bench, job).await.state.name(), effect_state(&bench, job).await.as_str()),
        ("failed", "failed")
    );
    bench.retry(job).await;
    bench.drain().await;
    assert_eq!(bench.sandbox.calls("publish_feed").await, 1, "nothing is sent again under that key");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dead_token_parks_it_until_the_page_is_connected_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.graph_error("publish_feed", 190, 460).await;
    bench.drain().await;
    let row = bench.job(job).await;
    assert_eq!(row.state, JobState::Suspended);
    assert!(row.suspended_on.unwrap().starts_with("account:"));
    assert!(delivery(&bench, job).await.blocked_by.is_some());
    bench.connect_page().await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.effects().await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_reply_is_found_by_reading_back(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, true).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "after" })).await;
    bench.drain().await;
    let row = bench.job(job).await;
    assert_eq!((row.state, row.suspended_on.as_deref()), (JobState::Suspended, Some("reconcile")));
    bench.drain_after(Duration::from_secs(2)).await;
    let row = bench.job(job).await;
    assert_eq!((row.state, &row.result.unwrap()["read_back"]), (JobState::Completed, &json!(true)));
    assert_eq!(bench.sandbox.effects().await.len(), 1);
    assert_eq!((bench.sandbox.calls("stage_photo").await, bench.sandbox.calls("publish_feed").await), (1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn reading_back_waits_for_a_new_login_and_then_finds_it(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "after" })).await;
    bench.sandbox.graph_error("read_feed", 190, 460).await;
    bench.drain().await;
    bench.drain_after(Duration::from_secs(2)).await;
    assert!(bench.job(job).await.suspended_on.unwrap().starts_with("account:"));
    bench.connect_page().await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!((bench.sandbox.effects().await.len(), bench.sandbox.calls("publish_feed").await), (1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_picture_that_is_gone_does_not_keep_a_sent_post_from_being_found(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, true).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "after" })).await;
    bench.drain().await;
    bench.execute("update brand_assets set storage_key = 'gone' where tenant_id = $1", bench.tenant_id.0).await;
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_picture_that_is_gone_burns_no_effect(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, true).await;
    bench
        .execute("update brand_assets set storage_key = storage_key || '-gone' where tenant_id = $1", bench.tenant_id.0)
        .await;
    bench.drain().await;
    assert_eq!((bench.job(job).await.state, bench.sandbox.calls("publish_feed").await), (JobState::Discarded, 0));
    let restore = "update brand_assets set storage_key = replace(storage_key, '-gone', '') where tenant_id = $1";
    bench.execute(restore, bench.tenant_id.0).await;
    bench.retry(job).await;
    bench.drain().await;
    assert_eq!((bench.job(job).await.state, bench.sandbox.effects().await.len()), (JobState::Completed, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_known_answer_survives_that_it_could_not_be_recorded(pool: PgPool) {
    let bench = Bench::new(pool.clone()).await;
    let job = due(&bench, false).await;
    let forbid = "alter table post_history add constraint no_more check (state <> 'published')";
    sqlx::query(forbid).execute(&pool).await.unwrap();
    bench.drain().await;
    assert_eq!(bench.job(job).await.suspended_on.as_deref(), Some("reconcile"));
    sqlx::query("alter table post_history drop constraint no_more").execute(&pool).await.unwrap();
    bench.drain_after(Duration::from_secs(31)).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.calls("read_feed").await, 0, "the id was known");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_error_after_it_was_published_does_not_publish_it_twice(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "status": 500, "after_effect": true })).await;
    bench.drain().await;
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(bench.sandbox.effects().await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_found_is_unknown_and_never_sent_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    bench.drain().await;
    bench.drain_after(Duration::from_secs(30)).await;
    assert_eq!(
        bench.job(job).await.suspended_on.as_deref(),
        Some("reconcile"),
        "read again until the time for that is over"
    );
    bench.drain_after(Duration::from_mins(10)).await;
    assert_eq!(bench.job(job).await.suspended_on.as_deref(), Some("unknown_effect"));
    assert_eq!(
        (delivery(&bench, job).await.state.name(), effect_state(&bench, job).await.as_str()),
        ("unknown", "unknown")
    );
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(matches!(ledger::retry(&mut tx, job).await, Err(ActionError::OpenEffect)));
    assert!(matches!(ledger::cancel(&mut tx, crate::kinds::KINDS, job).await, Err(ActionError::OpenEffect)));
    assert_eq!(bench.sandbox.calls("publish_feed").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_posts_with_one_text_and_lost_replies_are_each_found_as_themselves(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.sandbox.fault("publish_feed", json!({ "times": 2, "drop": "after" })).await;
    let jobs = [due(&bench, false).await, due(&bench, false).await];
    bench.drain().await;
    for _ in 0..3 {
        bench.drain_after(Duration::from_secs(6)).await;
    }
    let mut found = Vec::new();
    for job in jobs {
        assert_eq!(bench.job(job).await.state, JobState::Completed);
        found.push(delivery(&bench, job).await.remote_id.unwrap());
    }
    assert_ne!(found[0], found[1]);
    assert_eq!(bench.sandbox.effects().await.len(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_older_post_with_the_same_text_is_not_taken_for_ours(pool: PgPool) {
    let bench = Bench::new(pool).await;
    due(&bench, false).await;
    bench.drain().await;
    let again = due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    bench.drain().await;
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!(bench.job(again).await.suspended_on.as_deref(), Some("reconcile"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancelled_job_takes_its_delivery_along(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(ledger::cancel(&mut tx, crate::kinds::KINDS, job).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(delivery(&bench, job).await.state, DeliveryState::Cancelled);
    bench.drain().await;
    assert_eq!(bench.sandbox.effects().await.len(), 0);
}
