//! Events of running jobs: progress and log, one numbered row each in `job_events`.
//!
//! Reporting costs a job only memory. A task writes the events, twice a second at most, and the
//! transaction that ends the attempt writes the rest. Every row is written under the lock of the
//! job's row and under the fence.

mod rows;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

pub use rows::{EventRow, Progress, get_progress, list_events, list_log};

use super::{Attempt, AttemptContext, Db, Scope, Tx, cause::storable};

/// The time after which events are written together, so that progress makes two rows a second at
/// most.
const PACE: Duration = Duration::from_millis(500);

/// The time limit for writing the last events of an attempt, so that its settlement does not wait
/// for them.
const LAST_TRY: Duration = Duration::from_secs(2);

/// The level of progress. The other levels are lines of the log.
const PROGRESS: &str = "progress";

/// The most lines in the log of one attempt.
const MAX_LINES: usize = 2_000;

/// The level of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The normal course of the job.
    Info,
    /// Something is odd, and the work goes on.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// Returns the name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl AttemptContext {
    /// Reports the job's progress: `done` of `total`, and a message. It is cheap and cannot fail. A
    /// later report replaces one that is not written yet, and the last one is always written.
    pub fn progress(&self, done: u64, total: u64, message: &str) {
        let count = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
        self.events.say(Said { level: PROGRESS, message: storable(message), done: count(done), total: count(total) });
    }

    /// Adds a line to the job's log, for the person who looks at the job. It must not contain
    /// secrets. The log of an attempt ends after 2,000 lines.
    pub fn log(&self, level: Level, message: &str) {
        self.events.say(Said { level: level.name(), message: storable(message), done: None, total: None });
    }
}

/// An event that is not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    level: &'static str,
    message: String,
    done: Option<i64>,
    total: Option<i64>,
}

#[derive(Debug, Default)]
struct Unwritten {
    said: Vec<Said>,
    /// Events in a transaction of the attempt that is not known to be committed.
    held: Vec<Said>,
    lines: usize,
    written_at: Option<Instant>,
    /// True if a task is going to write.
    is_due: bool,
}

impl Unwritten {
    /// Adds an event. Returns true if it has to be written.
    fn add(&mut self, said: Said) -> bool {
        if said.level == PROGRESS {
            self.said.retain(|earlier| earlier.level != PROGRESS);
            self.said.push(said);
            return true;
        }
        self.lines += 1;
        if self.lines < MAX_LINES {
            self.said.push(said);
        } else if self.lines == MAX_LINES {
            let message = format!("The log of an attempt ends after {MAX_LINES} lines.");
            self.said.push(Said { level: "warning", message, done: None, total: None });
        }
        self.lines <= MAX_LINES
    }

    fn take(&mut self) -> Vec<Said> {
        self.written_at = Some(Instant::now());
        std::mem::take(&mut self.said)
    }

    /// Takes the events that a transaction of the attempt writes. They include those of an earlier
    /// transaction that did not commit.
    fn hold(&mut self) -> Vec<Said> {
        let held = std::mem::take(&mut self.held);
        self.put_back(held);
        self.held = std::mem::take(&mut self.said);
        self.held.clone()
    }

    fn is_empty(&self) -> bool {
        self.said.is_empty() && self.held.is_empty()
    }

    /// Puts back events that could not be written, before the ones added since.
    fn put_back(&mut self, mut said: Vec<Said>) {
        if self.said.iter().any(|later| later.level == PROGRESS) {
            said.retain(|earlier| earlier.level != PROGRESS);
        }
        said.append(&mut self.said);
        self.said = said;
    }
}

/// The collector and writer of an attempt's events. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    attempt: Attempt,
    db: Db,
    unwritten: Mutex<Unwritten>,
}

impl Reporter {
    pub(super) fn new(attempt: Attempt, db: Db) -> Self {
        Self { shared: Arc::new(Shared { attempt, db, unwritten: Mutex::default() }) }
    }

    fn say(&self, said: Said) {
        let mut unwritten = self.shared.unwritten();
        if unwritten.add(said) && !unwritten.is_due {
            unwritten.is_due = true;
            let pause = unwritten.written_at.map_or(Duration::ZERO, |at| PACE.saturating_sub(at.elapsed()));
            tokio::spawn(write_until_done(Arc::downgrade(&self.shared), pause));
        }
    }

    /// Writes the rest into the transaction that ends the attempt. [`Reporter::committed`] forgets
    /// it.
    pub(super) async fn write_rest(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let shared = &self.shared;
        if shared.unwritten().is_empty() || !rows::lock(tx, shared.attempt).await? {
            return Ok(());
        }
        // Taken under the lock of the row: the task may have written before, and writes nothing
        // from here on.
        let said = shared.unwritten().hold();
        rows::insert(tx, shared.attempt, &said).await
    }

    /// Forgets the events of [`Reporter::write_rest`], whose transaction committed.
    pub(super) fn committed(&self) {
        if !std::mem::take(&mut self.shared.unwritten().held).is_empty() {
            self.shared.announce();
        }
    }

    /// Writes the rest for an attempt that ended without its own transaction. It tries once
    /// and does not wait: events that cannot be written are lost.
    pub(super) async fn flush(&self) {
        let shared = &self.shared;
        if shared.unwritten().is_empty() {
            return;
        }
        let written = async {
            let mut tx = shared.db.begin(Scope::of(shared.attempt.tenant_id)).await?;
            self.write_rest(&mut tx).await?;
            tx.commit().await
        };
        match tokio::time::timeout(LAST_TRY, written).await {
            Ok(Ok(())) => self.committed(),
            Ok(Err(error)) => tracing::warn!(job_id = %shared.attempt.job_id, %error, "the last events are lost"),
            Err(_) => tracing::warn!(job_id = %shared.attempt.job_id, "no time for the last events"),
        }
    }
}

/// Writes at the pace until nothing is left or the attempt has ended.
async fn write_until_done(shared: Weak<Shared>, mut pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        pause = PACE;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match shared.write().await {
            Ok(true) => shared.announce(),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(job_id = %shared.attempt.job_id, %error, "could not write events, trying again");
            }
        }
        let mut unwritten = shared.unwritten();
        if unwritten.said.is_empty() {
            unwritten.is_due = false;
            return;
        }
    }
}

impl Shared {
    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the events, unless the job's row is locked right now: a transaction of the job may
    /// hold it for long.
    async fn write(&self) -> Result<bool, sqlx::Error> {
        let mut tx = self.db.begin(Scope::of(self.attempt.tenant_id)).await?;
        if !rows::lock_free(&mut tx, self.attempt).await? {
            return Ok(false);
        }
        let said = self.unwritten().take();
        if said.is_empty() {
            return Ok(false);
        }
        let written = match rows::insert(&mut tx, self.attempt, &said).await {
            Ok(()) => tx.commit().await,
            Err(error) => Err(error),
        };
        if written.is_err() {
            self.unwritten().put_back(said);
        }
        written.map(|()| true)
    }

    /// Wakes readers of the job's events. They look every second anyway.
    fn announce(&self) {
        if let Some(window) = self.db.window().cloned() {
            let job_id = self.attempt.job_id;
            tokio::spawn(async move { window.announce(job_id).await });
        }
    }
}
