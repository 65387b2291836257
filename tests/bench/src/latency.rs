//! Measures the time until a job starts.

use std::time::Duration;

use anyhow::ensure;
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{
    enqueue,
    figures::{print, say},
    process,
    stage::Servers,
    store,
};

/// The interval between two enqueued jobs: 200 a second.
const EVERY: Duration = Duration::from_millis(5);

/// The connections for enqueueing, so that a slow commit delays no other.
const CONNECTIONS: u32 = 4;

/// Measures `latency_p50_ms` and `latency_p99_ms`: the time from a job's creation (before its
/// commit) to its start, by the database's clock. A fifth of `jobs` is enqueued, 200 a second, each
/// in its own transaction. Every thousand of `jobs` takes a second.
///
/// Measures `rss_mb_idle` too: the memory of the worker before the first job.
pub(crate) async fn measure(servers: &Servers, jobs: u32) -> anyhow::Result<()> {
    let count = jobs / 5;
    say(&format!("Enqueueing {count} jobs, one every {} ms", EVERY.as_millis()));
    let stage = servers.set_stage("latency").await?;
    let tenant_id = store::insert_tenants(&mut *stage.ledger.acquire().await?, 1).await?[0];
    let db = stage.connect(CONNECTIONS).await?;
    let worker = stage.start_worker().await?;
    match worker.rss_mb() {
        Some(rss_mb) => print("rss_mb_idle", rss_mb),
        None => say("No rss_mb_idle: there is no /proc here"),
    }
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut enqueueing = JoinSet::new();
    for _ in 0..count {
        ticks.tick().await;
        let db = db.clone();
        enqueueing.spawn(async move { enqueue::one(&db, tenant_id).await });
    }
    enqueueing.join_all().await.into_iter().collect::<anyhow::Result<()>>()?;
    process::wait_until_worked_off(&stage).await?;
    worker.kill().await?;
    let mut ledger = stage.ledger.acquire().await?;
    let run = store::get_run(&mut ledger).await?;
    process::ensure_delivered(&run, count)?;
    ensure!(run.ended == i64::from(count), "{} of {count} jobs ended", run.ended);
    let latency = store::get_latency(&mut ledger).await?;
    print("latency_p50_ms", latency.p50_ms);
    print("latency_p99_ms", latency.p99_ms);
    drop(ledger);
    stage.strike().await
}
