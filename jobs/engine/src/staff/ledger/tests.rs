//! Tests of staff's actions on jobs and of the lists that staff see.

mod search;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::{
    Attempt, EffectState, Job, JobContext, JobError, JobState, Kind, NewJob, NotCompleted, Queue, Retry, Tx,
    ids::{EffectId, JobId, TenantId},
    testing::Bench,
    tests::Noop,
};

/// A job whose rows change while staff act on it.
#[derive(Debug, Serialize, Deserialize)]
struct Restless {}

impl Job for Restless {
    type Services = ();

    const KIND: &'static str = "restless";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, _cx: &JobContext<()>) -> Result<crate::Done, JobError> {
        Ok(crate::Done::nothing("test"))
    }

    async fn on_not_completed(&self, _: TenantId, tx: &mut Tx, _: &NotCompleted) -> Result<(), sqlx::Error> {
        sqlx::query("update jobs set attempt = attempt + 1 where kind = 'restless'").execute(&mut **tx).await?;
        Ok(())
    }
}

/// A job with a unique key that waits for its time again when it is retried.
#[derive(Debug, Serialize, Deserialize)]
struct Timed {
    key: String,
}

impl Timed {
    fn new() -> Self {
        Self { key: Uuid::now_v7().to_string() }
    }
}

impl Job for Timed {
    type Services = ();

    const KIND: &'static str = "timed";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;
    const KEEPS_TIME: bool = true;

    fn unique_key(&self) -> Option<String> {
        Some(self.key.clone())
    }

    async fn run(self, _cx: &JobContext<()>) -> Result<crate::Done, JobError> {
        Ok(crate::Done::nothing("test"))
    }
}

static KINDS: &[Kind<()>] = &[Kind::of::<Noop>(), Kind::of::<Timed>()];

async fn later<J: Job>(bench: &Bench, job: &J) -> JobId {
    let at = bench.now().await + Duration::from_hours(1);
    enqueue(bench, NewJob::new(bench.tenant_id, job).at(at)).await
}

async fn enqueue(bench: &Bench, job: NewJob) -> JobId {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let id = tx.enqueue(job).await.unwrap().id;
    tx.commit().await.unwrap();
    id
}

/// Returns a parent that waits, and its child.
async fn family(bench: &Bench) -> (JobId, JobId) {
    let parent = later(bench, &Noop::default()).await;
    let attempt = Attempt { job_id: parent, tenant_id: bench.tenant_id, number: 1, depth: 0 };
    let at = bench.now().await + Duration::from_hours(1);
    let child = enqueue(bench, NewJob::new(bench.tenant_id, &Noop::default()).at(at).child_of(&attempt)).await;
    let wait = "update jobs set state = 'suspended', suspended_on = 'children', run_at = null where id = $1";
    bench.execute(wait, parent.0).await;
    (parent, child)
}

async fn act_and_commit(bench: &Bench, action: Action, ids: &[JobId]) -> Acted {
    let mut tx = bench.engine.db.system().await.unwrap();
    let acted = act(&mut tx, KINDS, action, ids).await.unwrap();
    tx.commit().await.unwrap();
    acted
}

fn codes(acted: &Acted) -> Vec<&'static str> {
    acted.skipped.iter().map(|(_, refused)| refused.code()).collect()
}

async fn state(bench: &Bench, id: JobId) -> JobState {
    bench.job(id).await.state
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_discarded_job_comes_back_with_its_counters(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let id = later(&bench, &Noop::default()).await;
    bench.execute("update jobs set attempt = 3, failures = 2, crashes = 1 where id = $1", id.0).await;
    act_and_commit(&bench, Action::Discard, &[id]).await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.error.unwrap()["class"].as_str()), (JobState::Discarded, Some("discarded_by_staff")));
    act_and_commit(&bench, Action::Retry, &[id]).await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.attempt, row.failures, row.crashes), (JobState::Available, 3, 2, 1));
    bench.drain().await;
    let row = bench.job(id).await;
    assert_eq!((row.state, row.attempt), (JobState::Completed, 4), "the fence never starts over");
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_finished_jobs_with_one_key_only_one_comes_back(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let job = Timed::new();
    let first = later(&bench, &job).await;
    act_and_commit(&bench, Action::Cancel, &[first]).await;
    let second = later(&bench, &job).await;
    assert_eq!(codes(&act_and_commit(&bench, Action::Retry, &[first]).await), ["live_twin"]);
    act_and_commit(&bench, Action::Cancel, &[second]).await;
    let acted = act_and_commit(&bench, Action::Retry, &[first, second]).await;
    assert_eq!((acted.done.len(), codes(&acted)), (1, vec!["live_twin"]));
    let (back, stays) = if acted.done[0].id == first { (first, second) } else { (second, first) };
    assert_eq!((state(&bench, back).await, state(&bench, stays).await), (JobState::Scheduled, JobState::Cancelled));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_cancelled_job_takes_its_unfinished_children_along(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let (parent, child) = family(&bench).await;
    let acted = act_and_commit(&bench, Action::Cancel, &[parent]).await;
    assert_eq!((acted.done.len(), acted.descendants.len()), (1, 1));
    assert_eq!((state(&bench, parent).await, state(&bench, child).await), (JobState::Cancelled, JobState::Cancelled));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_discarded_child_lets_its_parent_go_on(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let (parent, child) = family(&bench).await;
    assert_eq!(codes(&act_and_commit(&bench, Action::Retry, &[parent]).await), ["children_unfinished"]);
    act_and_commit(&bench, Action::Discard, &[child]).await;
    let row = bench.job(parent).await;
    assert_eq!((row.state, row.pending, row.failed_children), (JobState::Available, 0, 1));
}

async fn open_effect(bench: &Bench, job: JobId, state: &str) -> EffectId {
    let id = EffectId::new();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    sqlx::query(
        "insert into effects (id, tenant_id, job_id, account_id, key, operation, state, attempt, request_digest, sent_at,
           send_until, lag_seconds)
         values ($1, $2, $3, $2, $1::text, 'test', $4, 1, '', clock_timestamp(), clock_timestamp(), 60)",
    )
    .bind(id.0)
    .bind(bench.tenant_id.0)
    .bind(job.0)
    .bind(state)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    id
}

#[sqlx::test(migrations = "../../migrations")]
async fn over_an_open_effect_nothing_is_done(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let job = later(&bench, &Noop::default()).await;
    open_effect(&bench, job, "sent").await;
    for action in [Action::Cancel, Action::Discard, Action::RunNow] {
        assert_eq!(codes(&act_and_commit(&bench, action, &[job]).await), ["outcome_unknown"], "{action:?}");
    }
    bench.execute("update jobs set state = 'executing', worker_id = id where id = $1", job.0).await;
    assert_eq!(codes(&act_and_commit(&bench, Action::Cancel, &[job]).await), ["too_late"]);
    assert!(bench.job(job).await.cancel_requested_at.is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_effect_is_decided_by_a_person_only_when_the_provider_had_its_time(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let job = later(&bench, &Noop::default()).await;
    let effect = open_effect(&bench, job, "sent").await;
    let resolution = Resolution::Happened("1_2".to_owned());
    let mut tx = bench.engine.db.system().await.unwrap();
    assert_eq!(resolve(&mut tx, job, effect, &resolution, "x").await.unwrap_err().code(), "still_looking");
    assert_eq!(resolve(&mut tx, job, EffectId::new(), &resolution, "x").await.unwrap_err().code(), "not_found");
    assert_eq!(resolve(&mut tx, JobId::new(), effect, &resolution, "x").await.unwrap_err().code(), "not_found");
    drop(tx);
    bench.engine.db.shift_clock(Duration::from_secs(61));
    let mut tx = bench.engine.db.system().await.unwrap();
    let known = "update effects set remote_id = '1_2' where id = $1";
    sqlx::query(known).bind(effect.0).execute(&mut *tx).await.unwrap();
    for denial in [Resolution::SendAgain, Resolution::GiveUp] {
        assert_eq!(resolve(&mut tx, job, effect, &denial, "x").await.unwrap_err().code(), "effect_happened");
    }
    assert_eq!(resolve(&mut tx, job, effect, &resolution, "x").await.unwrap().after, EffectState::Confirmed);
    assert_eq!(resolve(&mut tx, job, effect, &resolution, "x").await.unwrap_err().code(), "effect_settled");
    tx.commit().await.unwrap();
    let other = open_effect(&bench, job, "unknown").await;
    let mut tx = bench.engine.db.system().await.unwrap();
    assert_eq!(resolve(&mut tx, job, other, &resolution, "x").await.unwrap_err().code(), "remote_id_taken");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_does_not_hold_still_is_left_alone_and_the_others_are_not(pool: PgPool) {
    static RESTLESS: &[Kind<()>] = &[Kind::of::<Restless>(), Kind::of::<Noop>()];
    let bench = Bench::new(pool, KINDS).await;
    let (restless, still) = (later(&bench, &Restless {}).await, later(&bench, &Noop::default()).await);
    let mut tx = bench.engine.db.system().await.unwrap();
    let acted = act(&mut tx, RESTLESS, Action::Cancel, &[restless, still]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((acted.done.len(), codes(&acted)), (1, vec!["state_changing"]));
    assert_eq!(state(&bench, still).await, JobState::Cancelled);
    let row = bench.job(restless).await;
    assert_eq!((row.state, row.attempt), (JobState::Scheduled, 0), "what was written for it is rolled back");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_preview_says_what_happens_and_changes_nothing(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let (waiting, done) = (later(&bench, &Noop::default()).await, bench.enqueue(&Noop::default()).await);
    bench.drain().await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let ids = [waiting, done, JobId::new(), waiting];
    let preview = preview(&mut tx, KINDS, Action::Cancel, &ids).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(state(&bench, waiting).await, JobState::Scheduled);
    let acted = act_and_commit(&bench, Action::Cancel, &ids).await;
    assert_eq!((acted.done.len(), codes(&acted)), (1, vec!["not_found", "wrong_state"]));
    assert_eq!((preview.done.len(), codes(&preview)), (acted.done.len(), codes(&acted)));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_list_finds_jobs_by_each_filter(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let (parent, child) = family(&bench).await;
    let account = Uuid::now_v7();
    bench
        .execute("update jobs set account_id = id, error = '{\"message\": \"The OVEN is off\"}' where id = $1", child.0)
        .await;
    let ended = bench.enqueue(&Noop::default()).await;
    bench.drain().await;
    let all = JobFilter { tenant_id: Some(bench.tenant_id), ..JobFilter::default() };
    let text = |text: &str| JobFilter { text: Some(text.to_owned()), ..all.clone() };
    let in_state = |state| JobFilter { state: Some(state), ..all.clone() };
    let created = bench.job(ended).await.created_at;
    for (filter, expected) in [
        (all.clone(), vec![ended, child, parent]),
        (in_state(JobState::Completed), vec![ended]),
        (in_state(JobState::Suspended), vec![parent]),
        (in_state(JobState::Scheduled), vec![child]),
        (JobFilter { parent_id: Some(parent), ..JobFilter::default() }, vec![child]),
        (JobFilter { parent_id: Some(JobId::new()), ..JobFilter::default() }, vec![]),
        (JobFilter { account_id: Some(child.0), ..all.clone() }, vec![child]),
        (JobFilter { account_id: Some(account), ..all.clone() }, vec![]),
        (text("oven"), vec![child]),
        (text("NOOP"), vec![ended, child, parent]),
        (text("o_p"), vec![]),
        (text(&ended.to_string()), vec![ended]),
        (JobFilter { since: Some(created), ..all.clone() }, vec![ended]),
        (JobFilter { until: Some(created), ..all.clone() }, vec![child, parent]),
        (JobFilter { queue: Some("posting".to_owned()), ..all.clone() }, vec![]),
    ] {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let listed = list_jobs(&mut tx, KINDS, &filter, 10).await.unwrap();
        let found: Vec<JobId> = listed.jobs.iter().map(|job| job.id).collect();
        assert_eq!((found, listed.next), (expected, None), "{filter:?}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_search_that_no_index_serves_looks_at_so_many_jobs_and_goes_on_behind_them(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let rare = later(&bench, &Timed::new()).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    sqlx::query(
        "insert into jobs (id, tenant_id, kind, queue, args, state, run_at, due_at)
         select gen_random_uuid(), $1, 'noop', 'default', '{}', 'scheduled', engine_now() + interval '1 day', engine_now()
         from generate_series(1, 20500)",
    )
    .bind(bench.tenant_id.0)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let mut filter = JobFilter { kind: Some("timed".to_owned()), ..JobFilter::default() };
    let mut tx = bench.engine.db.system().await.unwrap();
    let first = list_jobs(&mut tx, KINDS, &filter, 10).await.unwrap();
    assert!(first.jobs.is_empty() && first.next.is_some());
    filter.after = first.next;
    let second = list_jobs(&mut tx, KINDS, &filter, 10).await.unwrap();
    assert_eq!((second.jobs[0].id, second.next), (rare, None));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_shows_its_children_counted_by_state(pool: PgPool) {
    let bench = Bench::new(pool, KINDS).await;
    let (parent, child) = family(&bench).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let shown = children(&mut tx, bench.tenant_id, parent).await.unwrap();
    assert_eq!((shown.newest[0].id, shown.counts), (child, vec![(JobState::Scheduled, 1)]));
    assert_eq!(children(&mut tx, bench.tenant_id, child).await.unwrap().newest.len(), 0);
    drop(tx);
    act_and_commit(&bench, Action::Discard, &[child]).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let shown = children(&mut tx, bench.tenant_id, parent).await.unwrap();
    assert_eq!(json!(shown.counts), json!([["discarded", 1]]));
}
