//! The child's side of isolation: runs one job, then exits.

use std::io::{self, BufRead as _, Write as _};

use anyhow::Context as _;
use jobs::{
    engine::{ActiveAttempts, Attempt, AttemptEnd, Claimed, Engine, Interrupt, Settler},
    kinds::KINDS,
    services::Services,
};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{Report, word};
use crate::config::WorkerConfig;

/// The number of connections: one for the job, one for writing beside it.
const CONNECTIONS: u32 = 2;

/// Runs the job from standard input, and ends the process.
pub(crate) async fn run_alone(mut config: WorkerConfig) -> anyhow::Result<()> {
    leave_signals_to_the_worker()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("could not read the job")?;
    let job: Claimed = serde_json::from_str(&line).context("what stands on standard input is no job")?;
    let active = ActiveAttempts::default();
    let interrupt = active.insert(job.attempt);
    // A separate thread ends this process with its worker even if the job blocks the runtime.
    let (attempt, held) = (job.attempt, active.clone());
    std::thread::Builder::new().name("obey".to_owned()).spawn(move || obey(attempt, &held))?;

    let services = Services::new(&config.services)?;
    config.engine.database_connections = CONNECTIONS;
    let db = config.engine.connect(config.engine.window()?).await?;
    let engine = Engine { db, services, kinds: KINDS };
    say(Report::Begun);
    let report = match engine.run(job, interrupt.clone()).await {
        AttemptEnd::Completed(result) => complete(&engine, active, attempt, result, interrupt).await,
        AttemptEnd::Settled => Report::Settled,
        AttemptEnd::Returned => Report::Returned,
        AttemptEnd::Lost => Report::Lost,
    };
    say(report);
    // Returning would wait for background work that the job left running.
    std::process::exit(0)
}

/// Ignores signals to stop. Platforms send them to every process, but only the worker decides when
/// its child stops.
fn leave_signals_to_the_worker() -> io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        tokio::spawn(async move { while signals.recv().await.is_some() {} });
    }
    Ok(())
}

/// Passes interruptions on to the job. The end of the input means that the worker is gone, and ends
/// this process.
fn obey(attempt: Attempt, active: &ActiveAttempts) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let known = [Interrupt::Cancelled, Interrupt::Stopping, Interrupt::Lost];
        if let Some(why) = known.into_iter().find(|&why| word(why) == line) {
            active.interrupt(&[attempt.job_id], why);
        }
    }
    std::process::exit(1);
}

/// Settles a completed attempt, unless the worker stops or loses the lease first.
async fn complete(
    engine: &Engine,
    active: ActiveAttempts,
    attempt: Attempt,
    result: Value,
    mut interrupt: watch::Receiver<Option<Interrupt>>,
) -> Report {
    let (settler, mut settling) = Settler::start(engine.db.clone(), active, CancellationToken::new());
    settler.complete(attempt, result).await;
    drop(settler);
    let stopped = interrupt.wait_for(|why| matches!(why, Some(Interrupt::Stopping | Interrupt::Lost)));
    let why = tokio::select! {
        biased;
        _ = &mut settling => return Report::Settled,
        why = stopped => why.ok().and_then(|why| *why),
    };
    match why {
        Some(Interrupt::Stopping) => Report::Returned,
        Some(Interrupt::Cancelled | Interrupt::Lost) => Report::Lost,
        None => {
            // The attempt is settled: the settler lets go of it just before its task ends.
            let _ = settling.await;
            Report::Settled
        }
    }
}

fn say(report: Report) {
    let mut output = io::stdout().lock();
    let said = writeln!(output, "{}", report.line()).and_then(|()| output.flush());
    if said.is_err() {
        // The worker is gone, so nobody reads a report.
        std::process::exit(1);
    }
}
