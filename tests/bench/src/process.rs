//! Measures the number of jobs that a worker completes a second.

use std::time::Duration;

use anyhow::ensure;

use crate::{
    enqueue,
    figures::{median, print, say},
    stage::{Servers, Stage},
    store::{self, Run},
    wait,
};

/// The number of tenants that the jobs belong to.
const TENANTS: u32 = 100;

/// The longest time a run may take; a longer one hangs.
const LONGEST: Duration = Duration::from_mins(5);

/// Measures `process`: no-ops that wait in the ledger go through leader, window, claim, apalis and
/// settlement of one worker.
///
/// The times are the database's. The clock runs from the moment the worker registers itself,
/// connected and ready to take its first job, to the end of the last job. (`BullMQ` and
/// graphile-worker are timed likewise, from the start of the worker inside a process that already
/// runs; Celery is timed from its first completed job.) Nothing is vacuumed or analyzed before, as
/// with the peers.
pub(crate) async fn measure(servers: &Servers, jobs: u32, repeat: u32) -> anyhow::Result<()> {
    let (mut rates, mut memory) = (Vec::new(), Vec::new());
    for number in 1..=repeat {
        say(&format!("Working off {jobs} jobs, run {number} of {repeat}"));
        let stage = servers.set_stage(&format!("process_{number}")).await?;
        enqueue_for_all(&stage, jobs).await?;
        let worker = stage.start_worker().await?;
        wait_until_worked_off(&stage).await?;
        memory.extend(worker.rss_mb());
        worker.kill().await?;
        let run = store::get_run(&mut *stage.ledger.acquire().await?).await?;
        ensure_delivered(&run, jobs)?;
        ensure!(run.ended == i64::from(jobs), "{} of {jobs} jobs ended", run.ended);
        rates.push(f64::from(jobs) / run.seconds);
        stage.strike().await?;
    }
    print("process", median(&rates));
    print("process_min", rates.iter().copied().fold(f64::INFINITY, f64::min));
    print("process_max", rates.iter().copied().fold(0.0, f64::max));
    if memory.is_empty() {
        say("No rss_mb: there is no /proc here");
    } else {
        print("rss_mb", median(&memory));
    }
    Ok(())
}

async fn enqueue_for_all(stage: &Stage, jobs: u32) -> anyhow::Result<()> {
    let tenants = store::insert_tenants(&mut *stage.ledger.acquire().await?, TENANTS).await?;
    let db = stage.connect(1).await?;
    let count = usize::try_from(jobs)?;
    for (at, &tenant_id) in tenants.iter().enumerate() {
        // The first tenants take the remainder.
        let share = count / tenants.len() + usize::from(at < count % tenants.len());
        enqueue::in_bulk(&db, tenant_id, share).await?;
    }
    Ok(())
}

/// Waits until every due job has ended. Fails after some minutes.
pub(crate) async fn wait_until_worked_off(stage: &Stage) -> anyhow::Result<()> {
    let mut ledger = stage.ledger.acquire().await?;
    wait::until("the jobs to end", LONGEST, async || Ok(store::is_worked_off(&mut ledger).await?.then_some(()))).await
}

/// Checks that the ledger holds all `all` jobs once, and that each ended at its first attempt.
pub(crate) fn ensure_delivered(run: &Run, all: u32) -> anyhow::Result<()> {
    ensure!(run.all == i64::from(all), "there are {} jobs instead of {all}", run.all);
    ensure!(run.not_completed == 0, "{} attempts did not complete their job", run.not_completed);
    ensure!(run.at_once == run.ended, "{} of {} jobs took one attempt", run.at_once, run.ended);
    Ok(())
}
