//! Tests of a person who decides about a post with an unknown outcome. The job's next attempt
//! records the decision.

use sqlx::PgPool;

use super::*;
use crate::{
    engine::ledger::{self, Resolution},
    ids::{EffectId, JobId},
    testing::Bench,
};

/// Makes a post whose call was sent and that cannot be found.
async fn unknown(bench: &Bench, fault: serde_json::Value) -> JobId {
    let job = due(bench, false).await;
    bench.sandbox.fault("publish_feed", fault).await;
    bench.drain().await;
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!(bench.job(job).await.suspended_on.as_deref(), Some("unknown_effect"));
    job
}

async fn resolve(bench: &Bench, job: JobId, resolution: Resolution) {
    let mut tx = bench.engine.db.system().await.unwrap();
    let effect = ledger::list_effects(&mut tx, bench.tenant_id, job).await.unwrap()[0].id;
    let resolved = ledger::resolve(&mut tx, job, EffectId(effect), &resolution, "test").await.unwrap();
    assert!(resolved.runs);
    tx.commit().await.unwrap();
    bench.drain().await;
}

async fn states(bench: &Bench, job: JobId) -> [String; 3] {
    [
        bench.job(job).await.state.name().to_owned(),
        delivery(bench, job).await.state.name().to_owned(),
        effect_state(bench, job).await,
    ]
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_happened_is_published_without_another_call(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = unknown(&bench, json!({ "drop": "before" })).await;
    resolve(&bench, job, Resolution::Happened("100_200".to_owned())).await;
    assert_eq!(states(&bench, job).await, ["completed", "published", "confirmed"]);
    assert_eq!(delivery(&bench, job).await.remote_id.as_deref(), Some("100_200"));
    assert_eq!(bench.sandbox.calls("publish_feed").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_did_not_happen_is_sent_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = unknown(&bench, json!({ "drop": "before" })).await;
    resolve(&bench, job, Resolution::SendAgain).await;
    assert_eq!(states(&bench, job).await, ["completed", "published", "confirmed"]);
    assert_eq!((bench.sandbox.effects().await.len(), bench.sandbox.calls("publish_feed").await), (1, 2));
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_is_sent_again_and_refused_waits_like_any_other(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = unknown(&bench, json!({ "drop": "before" })).await;
    bench.sandbox.graph_error("publish_feed", 32, 0).await;
    resolve(&bench, job, Resolution::SendAgain).await;
    assert_eq!(states(&bench, job).await, ["suspended", "scheduled", "intended"], "the outcome is known again");
    bench.drain_after(Duration::from_secs(700)).await;
    assert_eq!(states(&bench, job).await, ["completed", "published", "confirmed"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_is_given_up_fails_and_is_never_sent(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = unknown(&bench, json!({ "drop": "before" })).await;
    resolve(&bench, job, Resolution::GiveUp).await;
    assert_eq!(states(&bench, job).await, ["discarded", "failed", "failed"]);
    bench.retry(job).await;
    bench.drain().await;
    assert_eq!(bench.sandbox.calls("publish_feed").await, 1, "nothing is sent under that key again");
}
