//! Tests of a job that ends the process it runs in.

use jobs::{
    engine::NewJob,
    fault_probe::{FaultProbe, Probe},
    noop::Noop,
};
use sqlx::PgPool;
use tests::{
    fault_trial::{FaultTrial, Load, small_or_long},
    ledger,
    report::Group,
};

use crate::TWO_MINUTES;

/// The signal `SIGABRT`.
const ABORTED: i32 = 6;

#[sqlx::test(migrations = "../migrations")]
async fn one_job_that_aborts_its_process_beside_19_good_ones_is_discarded_alone(pool: PgPool) {
    let mut trial = FaultTrial::new(pool, Group::Job, "aborts its process, beside 19 good ones").await;
    for _ in 0..small_or_long(1, 5) {
        trial.begin(Load::default()).await;
        let tenant = trial.app.bench.tenant_id;
        let abort = FaultProbe { what: Probe::Abort, ms: 0, attempts: None };
        let doomed = trial.enqueue_jobs(vec![NewJob::new(tenant, &abort)]).await[0];
        trial.dooms(doomed);
        let good = FaultProbe { what: Probe::Sleep, ms: 300, attempts: None };
        trial.enqueue_jobs(vec![NewJob::new(tenant, &good); 18]).await;
        trial.enqueue_jobs(vec![NewJob::new(tenant, &Noop::default())]).await;
        // The first two deaths are the worker's own. After them its child dies in its place.
        for _ in 0..2 {
            let worker = trial.app.launch(&[]);
            trial.dies_of(worker, ABORTED).await;
        }
        let worker = trial.app.worker(&[]).await;
        trial.settle(TWO_MINUTES).await;
        worker.terminate().await;
        let jobs = ledger::list_jobs(&trial.app.bench.engine.db).await.unwrap();
        let job = jobs.iter().find(|job| job.id == doomed).unwrap();
        assert_eq!(job.state, "discarded", "{job:?}");
    }
    trial.end().await;
}
