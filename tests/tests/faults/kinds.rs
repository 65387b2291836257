//! Tests of payloads and kinds that a worker does not know.

use std::time::Duration;

use jobs::{
    engine::NewJob,
    fault_probe::{FaultProbe, Probe},
};
use sqlx::PgPool;
use tests::{
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    report::Group,
    until,
};

use crate::TWO_MINUTES;

fn probe(trial: &FaultTrial) -> NewJob {
    NewJob::new(trial.app.bench.tenant_id, &FaultProbe { what: Probe::Sleep, ms: 10, attempts: None })
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payload_that_cannot_be_decoded_is_given_up_and_holds_nobody_up(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Job, "payload that cannot be decoded").await;
    for _ in 0..small_or_long(1, 5) {
        let broken = trial.enqueue_jobs(vec![probe(&trial)]).await[0];
        trial.app.bench.execute("update jobs set args = '\"soup\"' where id = $1", broken).await;
        trial.dooms(broken);
        trial.begin(Load::MIXED).await;
        let worker = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        worker.terminate().await;
        assert_eq!(trial.app.bench.error_class(jobs::ids::JobId(broken)).await, "payload");
    }
    trial.end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_kind_that_only_the_newer_of_two_workers_knows_waits_for_it(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Job, "kind that only the newer of two workers knows").await;
    for _ in 0..small_or_long(1, 5) {
        let older = trial.app.worker(&[("LINECOOK_WITHOUT_KINDS", "fault_probe")]).await;
        trial.begin(Load { failing: 0, ..Load::MIXED }).await;
        let jobs = vec![probe(&trial); 20];
        let probes = trial.enqueue_jobs(jobs).await;
        // The older worker continues with the kinds it knows, and begins none of these jobs.
        let db = trial.app.bench.engine.db.clone();
        until("the rest has ended", Duration::from_secs(40), async || {
            let open = ledger::list_open(&db, Some(trial.background_tenant().0)).await.unwrap();
            open.iter().all(|(kind, ..)| kind == "fault_probe").then_some(())
        })
        .await;
        let jobs = ledger::list_jobs(&db).await.unwrap();
        assert!(jobs.iter().filter(|job| probes.contains(&job.id)).all(|job| job.attempt == 0), "none has begun");
        let newer = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        let jobs = ledger::list_jobs(&db).await.unwrap();
        let odd: Vec<_> = jobs.iter().filter(|job| job.failures > 0 || job.crashes > 0).collect();
        assert!(odd.is_empty(), "waiting cost nothing: {odd:?}");
        older.terminate().await;
        newer.terminate().await;
    }
    trial.end().await;
}
