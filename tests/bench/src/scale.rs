//! Measures the cost of a job in a full ledger.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use jobs::{engine::NewJob, ids::TenantId, noop::Noop};
use sqlx::PgConnection;

use crate::{
    figures::{median, print, say},
    process::{ensure_delivered, wait_until_worked_off},
    stage::{Servers, Stage},
    store,
};

/// The sizes of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The jobs completed in a run.
    pub(crate) jobs: u32,
    /// The number of jobs that stand for a million.
    pub(crate) million: u32,
    /// The number of runs of which the median is taken.
    pub(crate) repeat: u32,
}

/// The jobs in the ledger beside those that the run completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// A million jobs that wait too. The run ends after the time that the base case took.
    Waiting,
    /// A million jobs scheduled for the coming days, of 5,000 tenants.
    Scheduled,
    /// A million jobs in the history.
    Ended,
}

/// A state of the ledger that is measured.
#[derive(Debug)]
struct Case {
    name: &'static str,
    /// The number of tenants that have work.
    tenants: usize,
    beside: Beside,
    /// The most jobs that wait at a time. When they have ended, as many are enqueued.
    at_once: Option<u32>,
}

/// The case that the others are compared with: one thousand tenants, and no other jobs.
const BASE: &str = "base";

const CASES: [Case; 8] = [
    Case { name: BASE, tenants: 1_000, beside: Beside::Nothing, at_once: None },
    Case { name: "waiting_1k", tenants: 1_000, beside: Beside::Nothing, at_once: Some(1_000) },
    Case { name: "waiting_1m", tenants: 1_000, beside: Beside::Waiting, at_once: None },
    Case { name: "tenants_1", tenants: 1, beside: Beside::Nothing, at_once: None },
    Case { name: "tenants_5k", tenants: 5_000, beside: Beside::Nothing, at_once: None },
    Case { name: "lone_tenant", tenants: 1, beside: Beside::Scheduled, at_once: None },
    Case { name: "scheduled_1m", tenants: 1_000, beside: Beside::Scheduled, at_once: None },
    Case { name: "finished_1m", tenants: 1_000, beside: Beside::Ended, at_once: None },
];

/// The number of tenants in the database, with or without work.
const TENANTS: u32 = 5_000;

/// Measures `scale.<case>_us` for every case: microseconds a job from the worker's registration to
/// the last end. Measures `scale.<case>_ratio` too: the same relative to the base case.
///
/// The cases take turns, so that a machine that gets busy meanwhile slows all of them. In
/// `waiting_1k` the clock runs from the first start to the last end of every 1,000.
pub(crate) async fn measure(servers: &Servers, sizes: Sizes, only: &str) -> anyhow::Result<()> {
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.name == BASE || case.name.contains(only)).collect();
    for case in &cases {
        say(&format!("Filling a ledger: {}", case.name));
        fill(servers, case, sizes).await?;
    }
    let mut costs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for number in 1..=sizes.repeat {
        for case in &cases {
            say(&format!("Working off {} jobs: {}, run {number} of {}", sizes.jobs, case.name, sizes.repeat));
            let base_us = costs.get(BASE).map_or(0.0, |costs| median(costs));
            let cost = work_off(servers, case, sizes, base_us).await?;
            say(&format!("{cost:.1} us a job"));
            costs.entry(case.name).or_default().push(cost);
        }
    }
    for case in &cases {
        let cost = median(&costs[case.name]);
        print(&format!("scale.{}_us", case.name), cost);
        if case.name != BASE {
            print(&format!("scale.{}_ratio", case.name), cost / median(&costs[BASE]));
        }
    }
    Ok(())
}

/// Creates the database that every run of the case gets a copy of.
async fn fill(servers: &Servers, case: &Case, sizes: Sizes) -> anyhow::Result<()> {
    let stage = servers.set_stage(case.name).await?;
    let mut ledger = stage.ledger.acquire().await?;
    let tenants = store::insert_tenants(&mut ledger, TENANTS).await?;
    fill_beside(&mut ledger, &tenants, case, sizes.million).await?;
    let due = case.at_once.unwrap_or(sizes.jobs).min(sizes.jobs);
    if case.beside != Beside::Waiting {
        store::insert_due(&mut ledger, &tenants[..case.tenants], due).await?;
    }
    store::settle_down(&mut ledger).await?;
    drop(ledger);
    stage.leave().await;
    Ok(())
}

async fn fill_beside(
    ledger: &mut PgConnection,
    tenants: &[TenantId],
    case: &Case,
    million: u32,
) -> Result<(), sqlx::Error> {
    match case.beside {
        Beside::Nothing => Ok(()),
        Beside::Waiting => store::insert_due(ledger, &tenants[..case.tenants], million).await,
        Beside::Scheduled => store::insert_scheduled(ledger, tenants, million).await,
        Beside::Ended => store::insert_ended(ledger, tenants, million).await,
    }
}

/// Completes the jobs of a case and returns the microseconds a job.
async fn work_off(servers: &Servers, case: &Case, sizes: Sizes, base_us: f64) -> anyhow::Result<f64> {
    let stage = servers.set_stage_like(&format!("{}_run", case.name), case.name).await?;
    let worker = stage.start_worker().await?;
    if let Some(at_once) = case.at_once {
        enqueue_in_turns(&stage, case, sizes.jobs, at_once).await?;
    }
    let all = match case.beside {
        Beside::Nothing => sizes.jobs,
        Beside::Scheduled | Beside::Ended => sizes.jobs + sizes.million,
        Beside::Waiting => sizes.million,
    };
    if case.beside == Beside::Waiting {
        tokio::time::sleep(Duration::from_secs_f64(f64::from(sizes.jobs) * base_us / 1e6)).await;
    } else {
        wait_until_worked_off(&stage).await?;
    }
    worker.kill().await?;
    let run = store::get_run(&mut *stage.ledger.acquire().await?).await?;
    ensure_delivered(&run, all)?;
    ensure!(run.ended > 0, "no job ended");
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let ended = run.ended as f64;
    let seconds = if case.at_once.is_some() { run.seconds_of_turns } else { run.seconds };
    stage.strike().await?;
    Ok(seconds * 1e6 / ended)
}

/// Enqueues the rest of `jobs`, `at_once` in a transaction, each time all others have ended.
async fn enqueue_in_turns(stage: &Stage, case: &Case, jobs: u32, at_once: u32) -> anyhow::Result<()> {
    let db = stage.connect(1).await?;
    let tenants = store::list_tenants(&mut *stage.ledger.acquire().await?, case.tenants).await?;
    let mut turn = tenants.iter().cycle();
    let mut left = jobs.saturating_sub(at_once);
    while left > 0 {
        wait_until_worked_off(stage).await?;
        let batch = at_once.min(left);
        let tenants = turn.by_ref().take(usize::try_from(batch)?);
        let mut tx = db.system().await?;
        tx.enqueue_all(tenants.map(|&tenant_id| NewJob::new(tenant_id, &Noop::default())).collect()).await?;
        tx.commit().await?;
        left -= batch;
    }
    Ok(())
}
