//! Feeds one queue's jobs to the runtime: pops ids from Redis and claims them in PostgreSQL.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use jobs::engine::{
    self, Claimed, Window,
    failpoint::{self, Failpoint},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use crate::{
    process::Process,
    ticket::{Ticket, Tickets},
};

/// The time without a popped id after which a process claims in PostgreSQL directly.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

/// The time for which free slots are gathered before a claim.
const GATHER: Duration = Duration::from_millis(2);

/// The number of feeders per queue: while one claims, the jobs of the other start.
pub(crate) const A_QUEUE: usize = 2;

/// The maximum number of jobs in one claim, so that the first of many start while the others are
/// claimed.
const BATCH: usize = 500;

/// A queue's slots, and the channel to them.
#[derive(Clone)]
pub(crate) struct Slots {
    all: usize,
    free: Arc<Semaphore>,
    tickets: mpsc::Sender<Ticket>,
}

impl Slots {
    pub(crate) fn new(all: usize, tickets: mpsc::Sender<Ticket>) -> Self {
        Self { all, free: Arc::new(Semaphore::new(all)), tickets }
    }

    /// Waits for a free slot, and takes all that are free then, up to a batch.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let mut taken = Arc::clone(&self.free).acquire_owned().await.ok()?;
        if self.free.available_permits() < self.all / 4 {
            // When few slots are free, more may become free at once: one large claim costs less
            // than many small ones.
            tokio::time::sleep(GATHER).await;
        }
        let others = u32::try_from(self.free.available_permits().min(BATCH - 1)).unwrap_or(u32::MAX);
        if let Ok(others) = Arc::clone(&self.free).try_acquire_many_owned(others) {
            taken.merge(others);
        }
        Some(taken)
    }
}

/// Feeds until the process stops.
pub(crate) async fn feed(process: Arc<Process>, queue: &'static str, slots: Slots) {
    let Ok(window) = process.window.own_connection() else {
        tracing::error!(queue, "no connection to Redis could be set up");
        return;
    };
    let mut feeder = Feeder { process, window, queue, last_pop: Instant::now() };
    feeder.feed(slots).await;
}

struct Feeder {
    process: Arc<Process>,
    window: Window,
    queue: &'static str,
    last_pop: Instant,
}

impl Feeder {
    async fn feed(&mut self, slots: Slots) {
        let stopping = self.process.stopping.clone();
        // A claim is never cancelled: jobs that the database assigns to this process must be active
        // here.
        while let Some(Some(mut taken)) = stopping.run_until_cancelled(slots.take()).await {
            let Some(ids) = stopping.run_until_cancelled(self.next_ids(taken.num_permits())).await else {
                return;
            };
            // Slots without a job are free for the other feeder while this one claims.
            drop(taken.split(taken.num_permits().saturating_sub(ids.len())));
            for job in self.claim(&ids).await {
                failpoint::reach(Failpoint::Claimed);
                let Some(slot) = taken.split(1) else {
                    break;
                };
                let interrupt = self.process.active.insert(job.attempt);
                if slots.tickets.send(Ticket::new(job, interrupt, slot)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Returns ids to claim, or none after about a second without work. Without a lease it waits,
    /// because it could not claim popped ids.
    async fn next_ids(&mut self, count: usize) -> Vec<Uuid> {
        self.process.wait_for_lease().await;
        match self.window.pop(self.queue, count).await {
            Ok(ids) if !ids.is_empty() => {
                self.last_pop = Instant::now();
                failpoint::reach(Failpoint::Popped);
                return ids;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(queue = self.queue, %error, "Redis is away");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
        if self.last_pop.elapsed() < REDIS_PATIENCE {
            return Vec::new();
        }
        engine::list_marked(&self.process.engine.db, self.queue, count).await.unwrap_or_else(|error| {
            tracing::warn!(queue = self.queue, %error, "could not look for jobs");
            Vec::new()
        })
    }

    /// Claims ids. Jobs that cannot be claimed now come back by themselves: the dispatcher releases
    /// them again.
    async fn claim(&self, ids: &[Uuid]) -> Vec<Claimed> {
        let worker_id = self.process.identity();
        let (Some(worker_id), false) = (worker_id, ids.is_empty()) else {
            return Vec::new();
        };
        match engine::claim(&self.process.engine.db, worker_id, self.queue, &self.process.registration.kinds, ids).await
        {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(queue = self.queue, %error, "could not claim");
                tokio::time::sleep(Duration::from_millis(250)).await;
                Vec::new()
            }
        }
    }
}

/// Marks jobs that were claimed and not started for handing back at the end.
pub(crate) fn return_unstarted(process: &Process, tickets: &Tickets) {
    let mut tickets = tickets.lock().unwrap_or_else(PoisonError::into_inner);
    let mut returned = process.returned.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok(ticket) = tickets.try_recv() {
        process.active.remove(ticket.job.attempt);
        returned.push(ticket.job.attempt);
    }
}
