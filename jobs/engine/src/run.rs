//! Running one claimed job, from the start of the attempt to its settlement.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    AttemptContext, Cause, CauseClass, Claimed, Db, Done, JobContext, JobError, Kind, KindSpec, RateLimited,
    failpoint::{self, Failpoint},
    settle::{Ending, read_situation, settle_failed},
};

/// The time that a cancelled job has to tidy up before it is dropped.
const TIDY_UP: Duration = Duration::from_millis(500);

/// The reason to interrupt a running attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The job was cancelled.
    Cancelled,
    /// The process stops. The attempt is handed back at no cost.
    Stopping,
    /// The process lost its lease, or a later attempt exists. Nothing may be written any more.
    Lost,
}

/// The end of an attempt.
#[derive(Debug)]
pub enum AttemptEnd {
    /// The attempt completed without its own writes. The caller settles it, in a batch.
    Completed(Value),
    /// The attempt is settled.
    Settled,
    /// The attempt has to be handed back.
    Returned,
    /// The attempt must not write anything any more.
    Lost,
}

/// The engine: the database, the services that jobs share, and the kinds that it runs.
#[derive(Debug)]
pub struct Engine<S: 'static> {
    /// The database.
    pub db: Db,
    /// The services that all jobs share.
    pub services: Arc<S>,
    /// The kinds that this process runs.
    pub kinds: &'static [Kind<S>],
}

impl<S> Clone for Engine<S> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), services: Arc::clone(&self.services), kinds: self.kinds }
    }
}

impl<S> Engine<S> {
    /// Returns the names of the kinds that this process runs.
    #[must_use]
    pub fn kind_names(&self) -> Vec<String> {
        self.kinds.iter().map(|kind| kind.name.to_owned()).collect()
    }

    fn kind(&self, name: &str) -> Option<&'static Kind<S>> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Runs an attempt, and settles it if it did not complete. The result says what is left for the
    /// caller to do.
    pub async fn run(&self, job: Claimed, interrupt: watch::Receiver<Option<Interrupt>>) -> AttemptEnd {
        let Some(kind) = self.kind(&job.kind) else {
            return AttemptEnd::Returned;
        };
        let cx = JobContext::new(&job, self.db.clone(), self.services.clone());
        let ended = attempt(kind, &job, &cx, interrupt.clone()).await;
        cx.events.flush().await;
        let error = match ended {
            Ok(Done { settled: true, .. }) => return AttemptEnd::Settled,
            Ok(Done { result, .. }) => return AttemptEnd::Completed(result),
            Err(Stop::Failed(error)) => error,
            Err(Stop::Interrupted(Interrupt::Stopping)) => {
                cx.keep_outcome().await;
                return AttemptEnd::Returned;
            }
            Err(Stop::Interrupted(Interrupt::Lost)) => return AttemptEnd::Lost,
            Err(Stop::Interrupted(Interrupt::Cancelled)) => JobError::cancelled(),
        };
        settle_failed(&self.db, kind, &job, cx.take_outcome(), Ending::Decided(error), &interrupt).await
    }

    /// Settles an attempt without starting it, as if the job had returned `error`.
    pub async fn decline(
        &self,
        job: &Claimed,
        error: JobError,
        interrupt: &watch::Receiver<Option<Interrupt>>,
    ) -> AttemptEnd {
        self.end(job, Ending::Decided(error), interrupt).await
    }

    /// Settles an attempt that a rate limit did not let start, and lets the job's lane rest. The
    /// job keeps its place, costs no failure and is never given up for this.
    pub async fn snooze(
        &self,
        job: &Claimed,
        limited: RateLimited,
        interrupt: &watch::Receiver<Option<Interrupt>>,
    ) -> AttemptEnd {
        self.end(job, Ending::RateLimited(limited), interrupt).await
    }

    /// Settles an attempt that killed the process in which it ran alone; `how` describes the death.
    /// It counts as poison.
    pub async fn settle_crash(
        &self,
        job: &Claimed,
        how: String,
        interrupt: &watch::Receiver<Option<Interrupt>>,
    ) -> AttemptEnd {
        self.end(job, Ending::Died(how), interrupt).await
    }

    /// Settles an attempt that this process did not run.
    async fn end(&self, job: &Claimed, ending: Ending, interrupt: &watch::Receiver<Option<Interrupt>>) -> AttemptEnd {
        match self.kind(&job.kind) {
            Some(kind) => settle_failed(&self.db, kind, job, None, ending, interrupt).await,
            None => AttemptEnd::Returned,
        }
    }
}

/// The number of crashes from which on the job itself is suspected as their cause.
pub(super) const SUSPECT: i32 = 2;

impl Claimed {
    /// Returns true if the job has to run in its own process.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes >= SUSPECT
    }

    /// Returns true if the attempt reacts to an interruption. A job that was cancelled before the
    /// claim runs only to read back an open effect: the cancellation does not interrupt that.
    #[must_use]
    pub fn heeds(&self, interrupt: Interrupt) -> bool {
        !(interrupt == Interrupt::Cancelled && self.cancel_requested)
    }
}

enum Stop {
    Failed(JobError),
    Interrupted(Interrupt),
}

/// Runs the job until it ends, panics, times out or is interrupted. While a call of an effect is on
/// its way it is not interrupted, because the call has its own time limit.
async fn attempt<S>(
    kind: &Kind<S>,
    job: &Claimed,
    cx: &JobContext<S>,
    mut interrupt: watch::Receiver<Option<Interrupt>>,
) -> Result<Done, Stop> {
    if job.cancel_requested && !has_open_effect(cx, job).await? {
        return Err(Stop::Failed(JobError::cancelled()));
    }
    if job.fails_with_children && job.failed_children > 0 {
        return Err(Stop::Failed(children_failed(job.failed_children)));
    }
    failpoint::reach(Failpoint::Started);
    let mut run = AssertUnwindSafe((kind.run)(job.args.clone(), cx)).catch_unwind();
    let timeout = tokio::time::sleep(kind.timeout);
    tokio::pin!(timeout);
    let mut over = false;
    let mut stop = None;
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            result = &mut run => {
                return match result {
                    Ok(done) => done.map_err(Stop::Failed),
                    Err(panic) => Err(Stop::Failed(panicked(panic.as_ref()))),
                };
            }
            changed = interrupt.wait_for(Option::is_some), if stop.is_none() => {
                stop = changed.ok().and_then(|seen| *seen).or(Some(Interrupt::Lost));
            }
            () = &mut timeout, if !over => over = true,
            // A shielded attempt cannot be stopped yet: check again soon.
            () = tokio::time::sleep(Duration::from_millis(20)), if over || stop.is_some() => {}
        }
        if cx.is_shielded() {
            continue;
        }
        if stop == Some(Interrupt::Cancelled) {
            stop = *interrupt.borrow();
        }
        match stop.filter(|&interrupt| job.heeds(interrupt)) {
            Some(Interrupt::Cancelled) if told.get_or_insert_with(|| cx.tell_cancelled()).elapsed() < TIDY_UP => {}
            Some(interrupt) => return Err(Stop::Interrupted(interrupt)),
            None => {}
        }
        if over {
            return Err(Stop::Failed(timed_out(kind)));
        }
    }
}

async fn has_open_effect(cx: &AttemptContext, job: &Claimed) -> Result<bool, Stop> {
    let read = async {
        let mut tx = cx.begin().await?;
        let situation = read_situation(&mut tx, job).await?;
        Ok::<_, sqlx::Error>(situation.is_some_and(|s| s.open_effect.is_some() || s.unknown_effect))
    };
    read.await.map_err(|error| Stop::Failed(error.into()))
}

fn children_failed(count: u32) -> JobError {
    JobError::Fail(Cause::plain(CauseClass::Children, format!("{count} of its children did not complete.")))
}

fn timed_out(kind: &KindSpec) -> JobError {
    let message = format!("It took longer than {} seconds.", kind.timeout.as_secs());
    JobError::Retry(Cause::plain(CauseClass::Timeout, message))
}

fn panicked(panic: &(dyn Any + Send)) -> JobError {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words".to_owned());
    JobError::Retry(Cause::new(CauseClass::Panic, "A bug on our side stopped it; it is tried again.", anyhow!(words)))
}
