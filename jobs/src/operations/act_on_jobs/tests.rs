//! Tests of acting on many jobs, in chunks that can be interrupted.

use sqlx::PgPool;

use super::*;
use crate::{
    audit,
    engine::{JobState, NewJob, events},
    ids::{JobId, TenantId},
    noop::Noop,
    testing::Bench,
};

fn actor() -> Actor {
    Actor::person(Uuid::nil(), "test".to_owned(), Some("192.0.2.1".to_owned()))
}

/// Makes as many jobs for later.
async fn later(bench: &Bench, count: usize) -> Vec<JobId> {
    let at = bench.now().await + Duration::from_hours(1);
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let jobs = vec![NewJob::new(bench.tenant_id, &Noop::default()).at(at); count];
    let enqueued = tx.enqueue_all(jobs).await.unwrap();
    tx.commit().await.unwrap();
    enqueued.into_iter().map(|job| job.id).collect()
}

async fn cancel_noops(bench: &Bench) -> JobId {
    let filter = JobFilter {
        tenant_id: Some(bench.tenant_id),
        kind: Some("noop".to_owned()),
        until: Some(bench.now().await),
        ..JobFilter::default()
    };
    bench.enqueue(&ActOnJobs { action: Action::Cancel, filter, actor: actor(), expected: 600 }).await
}

async fn count(bench: &Bench, state: &str) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar("select count(*) from job_ledger where kind = 'noop' and state = $1")
        .bind(state)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[test]
fn the_payload_keeps_its_form() {
    let filter = JobFilter { tenant_id: Some(TenantId(Uuid::nil())), ..JobFilter::default() };
    let payload =
        serde_json::to_value(ActOnJobs { action: Action::RunNow, filter, actor: actor(), expected: 1 }).unwrap();
    assert_eq!(payload["action"], "run_now");
    assert_eq!(payload["filter"]["tenant_id"], "00000000-0000-0000-0000-000000000000");
    let shown = crate::kinds::find(ActOnJobs::KIND).unwrap().shown(payload);
    assert_eq!(shown["actor"]["remote_address"], "[redacted]");
    assert_eq!((&shown["actor"]["name"], &shown["actor"]["kind"]), (&json!("test"), &json!("person")));
    let least = json!({ "action": "cancel", "filter": {}, "actor": { "key_id": Uuid::nil(), "name": "x" } });
    let of_before: ActOnJobs = serde_json::from_value(least).expect("what older versions enqueued is still read");
    assert_eq!(of_before.actor, Actor::key(Uuid::nil(), "x".to_owned(), None));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_job_that_matches_is_met_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    later(&bench, 1_100).await;
    let job = cancel_noops(&bench).await;
    let after = later(&bench, 1).await[0];
    bench.drain().await;
    let row = bench.job(job).await;
    let result = row.result.unwrap();
    assert_eq!(
        (row.state, &result["matched"], &result["done"]["cancelled"]),
        (JobState::Completed, &json!(1_100), &json!(1_100))
    );
    assert_eq!((count(&bench, "cancelled").await, bench.job(after).await.state.name()), (1_100, "scheduled"));
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let progress = events::get_progress(&mut tx, bench.tenant_id, job).await.unwrap().unwrap();
    assert_eq!((progress.done, progress.total, &*progress.message), (1_000, 1_000, "1000 changed, 0 skipped"));
    let filter = audit::store::EntryFilter { tenant_id: Some(bench.tenant_id), ..Default::default() };
    let entries = audit::store::list(&mut tx, &filter, 10).await.unwrap().entries;
    assert_eq!(entries.len(), 3, "one for each chunk");
    assert!(entries.iter().all(|entry| entry.actor_kind == "person" && entry.object_id == job.to_string()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_run_changes_nothing_more(pool: PgPool) {
    let bench = Bench::new(pool).await;
    later(&bench, 3).await;
    for expected in [json!({ "cancelled": 3 }), json!({})] {
        let job = cancel_noops(&bench).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.result.unwrap()["done"], expected);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_attempt_that_follows_a_lost_one_goes_on_where_that_ended(pool: PgPool) {
    let bench = Bench::new(pool).await;
    later(&bench, 1_100).await;
    let job = cancel_noops(&bench).await;
    // This is the state after a first attempt did one chunk of 500 and died.
    let mut tx = bench.engine.db.system().await.unwrap();
    let filter = JobFilter { kind: Some("noop".to_owned()), ..JobFilter::default() };
    let part = ledger::list_jobs(&mut tx, KINDS, &filter, 500).await.unwrap();
    let place = json!(part.next);
    sqlx::query(
        "update jobs set result = jsonb_build_object('matched', 500, 'done', '{}'::jsonb, 'descendants', '{}'::jsonb,
        'skipped', '{}'::jsonb, 'place', $2::jsonb) where id = $1",
    )
    .bind(job.0)
    .bind(place)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    bench.drain().await;
    assert_eq!(count(&bench, "cancelled").await, 600, "the first 500 are not looked at again");
    assert_eq!(bench.job(job).await.result.unwrap()["matched"], json!(1_100));
}
