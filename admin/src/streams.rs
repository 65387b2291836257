//! Event streams of jobs: a message in Redis wakes the streams of its job.
//!
//! The whole process has one subscription, however many streams. It only makes streams faster than
//! their polling.

mod feeds;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jobs::{
    engine::{SUBSCRIPTION_LIFE, Window, ledger::JobRow, listen, stats::Board},
    ids::{JobId, TenantId},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::feeds::Feeds;
pub(crate) use self::feeds::Newest;

/// The most streams that one process serves at once.
const MAX_STREAMS: usize = 256;

/// The most streams of one caller, and of one tenant's jobs, so that others get theirs.
const MAX_OF_CALLER: usize = MAX_STREAMS / 8;
const MAX_OF_TENANT: usize = MAX_STREAMS / 4;

/// The times that streams wait.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The longest time between reads of the table: signals may be lost, and the end of a job sends
    /// none.
    pub poll: Duration,
    /// The time between reads of the board, once for all streams that show it.
    pub board: Duration,
    /// The time after which a comment is sent, so that proxies do not close a quiet connection.
    pub heartbeat: Duration,
    /// The time after which a stream ends. Clients reconnect with the last number that they saw,
    /// and with their key.
    pub longest_stream: Duration,
    /// The lifetime of the subscription: see [`listen`].
    pub subscription: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            board: Duration::from_secs(2),
            heartbeat: Duration::from_secs(15),
            longest_stream: Duration::from_mins(15),
            subscription: SUBSCRIPTION_LIFE,
        }
    }
}

/// The event streams of this process; clones share them.
#[derive(Debug, Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pace: Pace,
    free: Arc<Semaphore>,
    followed: Mutex<HashMap<JobId, watch::Sender<()>>>,
    /// Open streams, by caller and by tenant.
    counts: Mutex<HashMap<Uuid, usize>>,
    boards: Feeds<Board>,
    pages: Feeds<Vec<JobRow>>,
    closing: CancellationToken,
}

impl Shared {
    fn followed(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<()>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, HashMap<Uuid, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a stream for both, or for neither.
    fn count(&self, caller_id: Uuid, tenant_id: TenantId) -> bool {
        let mut counts = self.counts();
        let is_free = |id: &Uuid, most: usize| counts.get(id).is_none_or(|count| *count < most);
        if !is_free(&caller_id, MAX_OF_CALLER) || !is_free(&tenant_id.0, MAX_OF_TENANT) {
            return false;
        }
        for id in [caller_id, tenant_id.0] {
            *counts.entry(id).or_default() += 1;
        }
        true
    }

    fn uncount(&self, ids: [Uuid; 2]) {
        let mut counts = self.counts();
        for id in ids {
            if let Some(count) = counts.get_mut(&id) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&id);
                }
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Streams {
    /// Listens to `window` until the streams are closed or the last clone is dropped.
    #[must_use]
    pub fn start(window: Window, pace: Pace) -> Self {
        let closing = CancellationToken::new();
        let shared = Arc::new(Shared {
            pace,
            free: Arc::new(Semaphore::new(MAX_STREAMS)),
            followed: Mutex::default(),
            counts: Mutex::default(),
            boards: Feeds::default(),
            pages: Feeds::default(),
            closing: closing.clone(),
        });
        let weak = Arc::downgrade(&shared);
        tokio::spawn(async move {
            let heard = listen(pace.subscription, || window.announcements(), |job_id| wake(&weak, job_id));
            closing.run_until_cancelled(heard).await;
        });
        Self { shared }
    }

    /// Returns the times that streams wait.
    pub(crate) fn pace(&self) -> Pace {
        self.shared.pace
    }

    /// Ends all streams, for a process that stops. Their clients reconnect to another one.
    pub fn close(&self) {
        self.shared.closing.cancel();
    }

    /// Takes a place for a stream of a caller that shows a tenant's rows; `None` if there are too
    /// many streams, or theirs are.
    pub(crate) fn place(&self, tenant_id: TenantId, caller_id: Uuid) -> Option<Place> {
        let permit = Arc::clone(&self.shared.free).try_acquire_owned().ok()?;
        if !self.shared.count(caller_id, tenant_id) {
            return None;
        }
        Some(Place { shared: Arc::clone(&self.shared), counted: [caller_id, tenant_id.0], _permit: permit })
    }

    /// Follows a job of a tenant for a caller; `None` as [`Streams::place`].
    pub(crate) fn follow(&self, job_id: JobId, tenant_id: TenantId, caller_id: Uuid) -> Option<Following> {
        let place = self.place(tenant_id, caller_id)?;
        let woken = self.shared.followed().entry(job_id).or_default().subscribe();
        Some(Following { place, job_id, woken })
    }

    /// The feeds of the whole board. There is one.
    pub(crate) fn boards(&self) -> &Feeds<Board> {
        &self.shared.boards
    }

    /// The feeds of the first page of a filter, by the filter.
    pub(crate) fn pages(&self) -> &Feeds<Vec<JobRow>> {
        &self.shared.pages
    }
}

/// The place of one stream among all.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    counted: [Uuid; 2],
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Waits until the process stops.
    pub(crate) async fn closing(&self) {
        self.shared.closing.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.uncount(self.counted);
    }
}

/// The place of a stream that follows a job.
#[derive(Debug)]
pub(crate) struct Following {
    place: Place,
    job_id: JobId,
    woken: watch::Receiver<()>,
}

impl Following {
    /// Waits until there may be something to read. Returns false if the process stops.
    pub(crate) async fn wait(&mut self) -> bool {
        let shared = &self.place.shared;
        tokio::select! {
            () = shared.closing.cancelled() => false,
            _ = tokio::time::timeout(shared.pace.poll, self.woken.changed()) => true,
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followed = self.place.shared.followed();
        // This one's receiver still counts.
        if followed.get(&self.job_id).is_some_and(|sender| sender.receiver_count() <= 1) {
            followed.remove(&self.job_id);
        }
    }
}

/// Wakes the streams that follow a job.
fn wake(shared: &Weak<Shared>, job_id: JobId) {
    if let Some(shared) = shared.upgrade()
        && let Some(sender) = shared.followed().get(&job_id)
    {
        sender.send_replace(());
    }
}
