//! Who follows which job: wakes event streams when Redis says that their job said something.
//!
//! One subscription for the whole process, however many streams. All of it is only faster than looking every second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use ::jobs::{engine::Window, ids::JobId};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Streams that one process serves at once.
const MAX_STREAMS: usize = 256;

/// The event streams of this process; clones share them.
#[derive(Debug, Clone)]
pub struct Streams {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    free: Arc<Semaphore>,
    followed: Mutex<HashMap<JobId, watch::Sender<()>>>,
    closing: CancellationToken,
}

impl Shared {
    fn followed(&self) -> MutexGuard<'_, HashMap<JobId, watch::Sender<()>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    /// Listens to `window` until the last clone is gone.
    #[must_use]
    pub fn start(window: Window) -> Self {
        let shared = Arc::new(Shared {
            free: Arc::new(Semaphore::new(MAX_STREAMS)),
            followed: Mutex::default(),
            closing: CancellationToken::new(),
        });
        tokio::spawn(listen(window, Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Ends all streams, for a process that stops: their clients come back to another one.
    pub fn close(&self) {
        self.shared.closing.cancel();
    }

    /// Follows a job; `None` if there are too many streams.
    pub(crate) fn follow(&self, job_id: JobId) -> Option<Following> {
        let place = Arc::clone(&self.shared.free).try_acquire_owned().ok()?;
        let woken = self.shared.followed().entry(job_id).or_default().subscribe();
        Some(Following { shared: Arc::clone(&self.shared), job_id, woken, _place: place })
    }
}

/// One stream's place.
#[derive(Debug)]
pub(crate) struct Following {
    shared: Arc<Shared>,
    job_id: JobId,
    woken: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
}

impl Following {
    /// Waits until the job says something, `at_most` that long; false if the process stops.
    pub(crate) async fn wait(&mut self, at_most: Duration) -> bool {
        tokio::select! {
            () = self.shared.closing.cancelled() => false,
            _ = tokio::time::timeout(at_most, self.woken.changed()) => true,
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followed = self.shared.followed();
        // This one's receiver still counts.
        if followed.get(&self.job_id).is_some_and(|sender| sender.receiver_count() <= 1) {
            followed.remove(&self.job_id);
        }
    }
}

/// Hands on what Redis says, subscribing again when that ends.
async fn listen(window: Window, shared: Weak<Shared>) {
    while shared.strong_count() > 0 {
        match window.announcements().await {
            Ok(mut announcements) => {
                while let (Some(job_id), Some(shared)) = (announcements.next().await, shared.upgrade()) {
                    if let Some(sender) = shared.followed().get(&job_id) {
                        sender.send_replace(());
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "event streams are not woken: Redis is away"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
