//! Tests of parents and children: waiting, and failed children.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    Cause, CauseClass, Done, Job, JobContext, JobError, JobState, Kind, NewJob, OnFailed, Queue, Retry,
    ids::JobId,
    ledger::{self, JobFilter, JobRow},
    testing::Bench,
};

/// A job that enqueues its children once and follows up afterwards. Without children it completes
/// or fails.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Family {
    children: Vec<Family>,
    strict: bool,
    fails: bool,
}

impl Job for Family {
    type Services = ();

    const KIND: &'static str = "family";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext<()>) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        if cx.attempt().number == 1 && !self.children.is_empty() {
            let children = self.children.iter().map(|child| NewJob::new(cx.tenant_id(), child).child_of(cx.attempt()));
            tx.enqueue_all(children.collect()).await?;
            let policy = if self.strict { OnFailed::Fail } else { OnFailed::GoOn };
            return tx.wait_for_children(policy).await;
        }
        if self.fails && cx.attempt().number == 1 {
            return Err(JobError::Fail(Cause::plain(CauseClass::Permanent, "scripted")));
        }
        tx.complete(json!({ "failed": cx.failed_children() })).await
    }
}

static FAMILY: &[Kind<()>] = &[Kind::of::<Family>()];

async fn bench(pool: PgPool) -> Bench {
    Bench::new(pool, FAMILY).await
}

fn parent(children: Vec<Family>) -> Family {
    Family { children, ..Family::default() }
}

fn failing() -> Family {
    Family { fails: true, ..Family::default() }
}

async fn children(bench: &Bench, id: JobId) -> Vec<JobRow> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let filter = JobFilter { parent_id: Some(id), ..JobFilter::default() };
    ledger::list_jobs::<()>(&mut tx, &[], &filter, 200).await.unwrap().jobs
}

async fn failed_child(bench: &Bench, id: JobId) -> JobId {
    children(bench, id).await.into_iter().find(|child| child.state == JobState::Discarded).unwrap().id
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_hundred_children_end_before_the_follow_up(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&parent(vec![Family::default(); 100])).await;
    let row = bench.run(id).await;
    assert_eq!((row.state, row.suspended_on.as_deref(), row.pending), (JobState::Suspended, Some("children"), 100));
    for child in children(&bench, id).await.iter().take(99) {
        bench.run(child.id).await;
    }
    assert_eq!((bench.job(id).await.state, bench.job(id).await.pending), (JobState::Suspended, 1));
    assert_eq!(bench.drain().await, 2, "the last child, then the parent");
    let row = bench.job(id).await;
    assert_eq!((row.state, row.attempt, row.result), (JobState::Completed, 2, Some(json!({ "failed": 0 }))));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_failed_child_is_counted_or_fails_its_parent(pool: PgPool) {
    let bench = bench(pool).await;
    for (strict, state) in [(false, JobState::Completed), (true, JobState::Discarded)] {
        let children = vec![Family::default(), failing(), failing()];
        let id = bench.enqueue(&Family { children, strict, fails: false }).await;
        bench.drain().await;
        let row = bench.job(id).await;
        assert_eq!(row.state, state, "{row:?}");
        if !strict {
            assert_eq!(row.result, Some(json!({ "failed": 2 })));
        }
    }
    let id = bench.enqueue(&Family { strict: true, ..parent(vec![Family::default(); 3]) }).await;
    bench.drain().await;
    assert_eq!(bench.job(id).await.state, JobState::Completed, "nothing failed");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_child_may_have_children(pool: PgPool) {
    let bench = bench(pool).await;
    let middle = parent(vec![Family::default(), failing()]);
    let id = bench.enqueue(&parent(vec![middle.clone(), middle, Family::default()])).await;
    bench.drain().await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.result), (JobState::Completed, Some(json!({ "failed": 0 }))));
    let middles: Vec<_> = children(&bench, id).await.into_iter().filter_map(|child| child.result).collect();
    assert_eq!(middles.iter().filter(|result| **result == json!({ "failed": 1 })).count(), 2, "{middles:?}");

    let strict = Family { strict: true, ..parent(vec![failing()]) };
    let id = bench.enqueue(&Family { strict: true, ..parent(vec![strict]) }).await;
    bench.drain().await;
    assert_eq!(bench.job(id).await.state, JobState::Discarded, "a failure climbs as far as policies let it");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_child_that_is_retried_later_does_not_reopen_its_parent(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&parent(vec![failing(), Family::default()])).await;
    bench.drain().await;
    let child = failed_child(&bench, id).await;
    bench.retry(child).await;
    bench.drain().await;
    assert_eq!(bench.job(child).await.state, JobState::Completed);
    let row = bench.job(id).await;
    assert_eq!((row.state, row.attempt, row.pending), (JobState::Completed, 2, 0));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_child_that_is_retried_while_its_parent_waits_counts_once(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&parent(vec![failing(), Family::default()])).await;
    bench.run(id).await;
    for child in children(&bench, id).await.iter().filter(|child| child.args["fails"] == json!(true)) {
        assert_eq!(bench.run(child.id).await.state, JobState::Discarded);
        assert_eq!(bench.job(id).await.pending, 1);
        bench.retry(child.id).await;
        assert_eq!(bench.run(child.id).await.state, JobState::Completed);
        assert_eq!((bench.job(id).await.pending, bench.job(id).await.state), (1, JobState::Suspended));
    }
    bench.drain().await;
    assert_eq!(bench.job(id).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_cancelled_parent_takes_its_unfinished_children_along(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&parent(vec![Family::default(), parent(vec![Family::default()])])).await;
    bench.run(id).await;
    for child in children(&bench, id).await {
        bench.run(child.id).await;
    }
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(ledger::cancel(&mut tx, FAMILY, id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(bench.drain().await, 0);
    assert_eq!((bench.job(id).await.state, bench.job(id).await.attempt), (JobState::Cancelled, 1));
    let mut states: Vec<&str> = children(&bench, id).await.into_iter().map(|child| child.state.name()).collect();
    states.sort_unstable();
    assert_eq!(states, ["cancelled", "completed"], "what had ended stays as it is");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_cancelled_child_counts_as_failed(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&parent(vec![Family::default(), Family::default()])).await;
    bench.run(id).await;
    let child = children(&bench, id).await[0].id;
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(ledger::cancel(&mut tx, FAMILY, child).await.unwrap());
    tx.commit().await.unwrap();
    bench.drain().await;
    assert_eq!(bench.job(id).await.result, Some(json!({ "failed": 1 })));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parent_that_failed_with_its_children_can_be_retried(pool: PgPool) {
    let bench = bench(pool).await;
    let id = bench.enqueue(&Family { strict: true, ..parent(vec![failing()]) }).await;
    bench.drain().await;
    assert_eq!(bench.job(id).await.state, JobState::Discarded);
    let child = failed_child(&bench, id).await;
    bench.retry(child).await;
    bench.drain().await;
    bench.retry(id).await;
    bench.drain().await;
    assert_eq!(bench.job(id).await.state, JobState::Completed);
}
