//! Starts and stops a worker process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jobs::{
    engine::{ActiveAttempts, Attempt, Engine, Interrupt, Limiter, Settler, hand_back, lease},
    kinds,
    services::Services,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, Semaphore, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{LONGEST_DRAIN_SECONDS, WorkerConfig},
    dispatcher,
    feeder::{self, Slots},
    heartbeat, isolation,
    process::Process,
    runtime, signals,
    ticket::Tickets,
};

/// The time limit, after the signal to stop, for claims that are already running.
const LAST_CLAIMS: Duration = Duration::from_secs(5);

/// The time, after the grace for running jobs, for effect calls that must not be cut and for
/// writing results.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// The time limit of the last statements, because the platform kills a process that takes too long.
const LAST_STATEMENTS: Duration = Duration::from_secs(1);

/// The time limit for the process's own tasks to end.
const LAST_TASKS: Duration = Duration::from_millis(300);

/// The times of all steps of a stop must fit: the grace, the last calls, handing back,
/// deregistering, the tasks.
const _: () = {
    let grace = Duration::from_secs(LONGEST_DRAIN_SECONDS).as_millis();
    let rest = LAST_CALLS.as_millis() + 2 * LAST_STATEMENTS.as_millis() + LAST_TASKS.as_millis();
    assert!(grace + rest <= 25_000, "everything ends within 25 seconds");
};

/// Runs until a signal to stop.
pub(crate) async fn run(config: WorkerConfig) -> anyhow::Result<()> {
    let services = Services::new(&config.services)?;
    let window = config.engine.window()?;
    let db = config.engine.connect(window.clone()).await?;
    let engine = Engine { db, services, kinds: kinds::run_here() };
    let registration = lease::Registration {
        name: format!("{}:{}", host(), std::process::id()),
        queues: config.worker_queues.0.clone(),
        kinds: engine.kind_names(),
        lease: config.lease(),
    };
    let id =
        lease::register(&engine.db, &registration).await.context("could not register; was `admin migrate` run?")?;
    let active = ActiveAttempts::default();
    let stopped = CancellationToken::new();
    let (settler, settling) = Settler::start(engine.db.clone(), active.clone(), stopped.clone());
    let limiter = Limiter::new(window.clone());
    let process = Arc::new(Process {
        engine,
        window,
        active,
        returned: Mutex::default(),
        settler,
        limiter,
        registration,
        identity: watch::Sender::new(Some(id)),
        woken: Notify::new(),
        isolated: Semaphore::new(isolation::AT_ONCE),
        stopping: CancellationToken::new(),
        stopped,
    });
    listen_for_signals(&process)?;
    let beating = tokio::spawn(heartbeat::beat(Arc::clone(&process)));
    tokio::spawn(signals::obey_signals(Arc::clone(&process)));
    let dispatching = tokio::spawn(dispatcher::dispatch(Arc::clone(&process)));
    let (mut queues, mut feeders) = (Vec::new(), JoinSet::new());
    for (&queue, &slots) in &config.worker_queues.0 {
        let (sender, receiver) = mpsc::channel(slots);
        queues.push((queue, Arc::new(Mutex::new(receiver))));
        let slots = Slots::new(slots, sender);
        for _ in 0..feeder::A_QUEUE {
            feeders.spawn(feeder::feed(Arc::clone(&process), queue, slots.clone()));
        }
    }
    tracing::info!(worker_id = %id, queues = ?config.worker_queues.0, "worker ready");
    let drain = Duration::from_secs(config.worker_drain_seconds);
    let running = async {
        runtime::run(Arc::clone(&process), &queues, drain).await;
        process.stopping.cancel();
    };
    tokio::join!(running, claim_to_the_end(&process, feeders));
    stop(&process, &queues).await;
    let ended = async { tokio::join!(beating, dispatching, settling) };
    if tokio::time::timeout(LAST_TASKS, ended).await.is_err() {
        tracing::debug!("a task did not end in time");
    }
    tracing::info!("worker stopped");
    Ok(())
}

/// Stops the process in order at the first signal, and at once at the second.
fn listen_for_signals(process: &Arc<Process>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopping = process.stopping.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stopping.is_cancelled() {
                tracing::warn!("second signal: leaving at once");
                std::process::exit(1);
            }
            tracing::info!("stopping: no new work from here on");
            stopping.cancel();
        }
    });
    Ok(())
}

/// Waits for running claims once the process is to stop, because only known attempts can be handed
/// back.
async fn claim_to_the_end(process: &Process, mut feeders: JoinSet<()>) {
    process.stopping.cancelled().await;
    let ended = async { while feeders.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_CLAIMS, ended).await.is_err() {
        tracing::warn!("a claim took too long; the rescue finds what it claims");
    }
}

/// Interrupts jobs that still run after the grace, waits for calls that must not be cut, and hands
/// the rest back.
async fn stop(process: &Process, queues: &[(&'static str, Tickets)]) {
    for (_, tickets) in queues {
        feeder::return_unstarted(process, tickets);
    }
    process.active.interrupt_all(Interrupt::Stopping);
    let begun = Instant::now();
    while !process.active.is_empty() && begun.elapsed() < LAST_CALLS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut returned = process.active.list();
    returned.append(&mut process.returned.lock().unwrap_or_else(PoisonError::into_inner));
    returned.sort_by_key(|attempt| attempt.job_id);
    returned.dedup();
    if !returned.is_empty() {
        match tokio::time::timeout(LAST_STATEMENTS, give_back(process, &returned)).await {
            Ok(Ok(())) => tracing::info!(jobs = returned.len(), "handed back what had not ended"),
            Ok(Err(error)) => tracing::warn!(%error, "could not hand back; the rescue finds it"),
            Err(_) => tracing::warn!("handing back took too long; the rescue finds it"),
        }
    }
    process.stopped.cancel();
    if let Some(id) = process.identity() {
        match tokio::time::timeout(LAST_STATEMENTS, lease::deregister(&process.engine.db, id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease ends by itself"),
            Err(_) => tracing::warn!("deregistering took too long; the lease ends by itself"),
        }
    }
}

async fn give_back(process: &Process, attempts: &[Attempt]) -> Result<(), sqlx::Error> {
    let mut tx = process.engine.db.system().await?;
    hand_back(&mut tx, attempts).await?;
    tx.commit().await
}

fn host() -> String {
    std::fs::read_to_string("/etc/hostname").map_or_else(|_| "worker".to_owned(), |name| name.trim().to_owned())
}
