//! Tests of the picture and the time of a delivery.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::*;
use crate::{
    audit::Actor,
    engine::{Enqueued, JobState, ledger},
    ids::{AssetId, JobId, PostId},
    kinds::KINDS,
    posts::{self, DeliveryState, Placement},
    testing::Bench,
};

async fn schedule(bench: &Bench, post_id: PostId, account: AccountId, asset: Option<AssetId>, days: i64) -> Enqueued {
    let at = bench.now().await + chrono::TimeDelta::days(days);
    let placement = Placement { post_id, account_id: account, at: (days > 0).then_some(at), asset_id: asset };
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let (services, actor) = (&bench.engine.services, Actor::command_line());
    let jobs = posts::schedule(&mut tx, services, &actor, bench.tenant_id, (account, &[placement])).await.unwrap();
    tx.commit().await.unwrap();
    jobs[0]
}

async fn written(bench: &Bench) -> PostId {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let post_id = store::insert_post(&mut tx, bench.tenant_id, "Two for one", None).await.unwrap();
    tx.commit().await.unwrap();
    post_id
}

async fn cancel(bench: &Bench, job: JobId) {
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(ledger::cancel(&mut tx, KINDS, job).await.unwrap());
    tx.commit().await.unwrap();
}

async fn retry(bench: &Bench, job: JobId) {
    let mut tx = bench.engine.db.system().await.unwrap();
    ledger::act_on(&mut tx, KINDS, ledger::Action::Retry, job).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn each_account_gets_the_picture_that_it_was_scheduled_with(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let pages = json!({ "people": [{ "id": "10220000000000011", "name": "Ada Rossi", "pages": [
        { "id": "10158250000000101", "name": "Trattoria Aurora" }, { "id": "10158250000000102", "name": "Bar Aurora" },
    ] }] });
    bench.sandbox.control("people", pages).await;
    bench.connect_page().await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let accounts = connections::store::list_accounts(&mut tx, bench.tenant_id).await.unwrap();
    drop(tx);
    let post_id = written(&bench).await;
    let assets = [bench.picture().await, bench.picture().await];
    for (account, asset) in accounts.iter().zip(assets) {
        let job = schedule(&bench, post_id, account.id, Some(asset), 0).await;
        assert_eq!(delivery(&bench, job.id).await.asset_id, Some(asset));
    }
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let mut deliveries = store::list_deliveries(&mut tx, bench.tenant_id, &[post_id.0]).await.unwrap();
    drop(tx);
    deliveries.sort_by_key(|delivery| delivery.account_id != accounts[0].id);
    assert_eq!(deliveries.iter().map(|delivery| delivery.asset_id.unwrap()).collect::<Vec<_>>(), assets);
    // The delivery decides on the picture: if its picture is gone, it is not published with the
    // other one.
    bench.execute("update brand_assets set storage_key = 'gone' where id = $1", assets[0].0).await;
    bench.drain().await;
    let states: Vec<String> = {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let mut after = store::list_deliveries(&mut tx, bench.tenant_id, &[post_id.0]).await.unwrap();
        after.sort_by_key(|delivery| delivery.account_id != accounts[0].id);
        after.into_iter().map(|delivery| delivery.state.name().to_owned()).collect()
    };
    assert_eq!(states, ["failed", "published"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cancelled_delivery_that_is_retried_keeps_its_time(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let account = bench.connect_page().await;
    let job = schedule(&bench, written(&bench).await, account, None, 3).await.id;
    let before = bench.job(job).await.run_at;
    cancel(&bench, job).await;
    assert_eq!(delivery(&bench, job).await.state, DeliveryState::Cancelled);
    retry(&bench, job).await;
    let row = bench.job(job).await;
    assert_eq!((row.state, row.run_at), (JobState::Scheduled, before));
    assert_eq!(delivery(&bench, job).await.state, DeliveryState::Scheduled);
    bench.drain().await;
    assert_eq!(bench.sandbox.effects().await.len(), 0);
    bench.drain_after(Duration::from_hours(73)).await;
    assert_eq!((bench.job(job).await.state, bench.sandbox.effects().await.len()), (JobState::Completed, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_delivery_that_was_to_go_out_at_once_does_so_when_it_is_retried(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    cancel(&bench, job).await;
    retry(&bench, job).await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

async fn due_at(bench: &Bench, job: JobId) -> DateTime<Utc> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select due_at from jobs where id = $1 union all select due_at from job_history where id = $1";
    sqlx::query_scalar(sql).bind(job.0).fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_retry_does_not_give_a_blocked_job_its_time_anew(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    let first_due = due_at(&bench, job).await;
    let policy = json!({ "times": 100, "graph_error": { "code": 368, "subcode": 1_390_008 } });
    bench.sandbox.fault("publish_feed", policy).await;
    bench.drain().await;
    for _ in 0..2 {
        bench.engine.db.shift_clock(Duration::from_hours(1));
        let mut tx = bench.engine.db.system().await.unwrap();
        ledger::act_on(&mut tx, KINDS, ledger::Action::RunNow, job).await.unwrap();
        tx.commit().await.unwrap();
        bench.drain().await;
        assert_eq!((bench.job(job).await.state, due_at(&bench, job).await), (JobState::Scheduled, first_due));
    }
    bench.drain_after(Duration::from_hours(72)).await;
    assert_eq!(bench.job(job).await.state, JobState::Discarded);
    retry(&bench, job).await;
    assert_eq!(delivery(&bench, job).await.state, DeliveryState::Scheduled, "it runs again");
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Discarded, "after one attempt");
}

#[sqlx::test(migrations = "../migrations")]
async fn overdue_posts_of_a_page_go_out_one_by_one_in_the_order_of_their_times(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let account = bench.connect_page().await;
    bench.pace_posts(Some(1), Some(3)).await;
    for (caption, days) in [("second", 2), ("third", 3), ("first", 1)] {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let post_id = store::insert_post(&mut tx, bench.tenant_id, caption, None).await.unwrap();
        tx.commit().await.unwrap();
        schedule(&bench, post_id, account, None, days).await;
    }
    let published = async || {
        let effects = bench.sandbox.effects().await;
        effects.iter().map(|effect| effect["message"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    bench.drain_after(Duration::from_hours(96)).await;
    assert_eq!(published().await, ["first"]);
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!(published().await.len(), 1, "the Page rests");
    bench.drain_after(Duration::from_secs(1)).await;
    bench.drain_after(Duration::from_secs(3)).await;
    assert_eq!(published().await, ["first", "second", "third"]);
}
