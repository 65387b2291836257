//! The state that the parts of a worker process share.

use std::sync::Mutex;

use jobs::{
    engine::{ActiveAttempts, Attempt, Engine, Limiter, Settler, Window, lease},
    ids::WorkerId,
};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// The state that the parts of a worker process share.
pub(crate) struct Process {
    pub(crate) engine: Engine,
    pub(crate) window: Window,
    pub(crate) active: ActiveAttempts,
    /// Attempts to hand back at the end.
    pub(crate) returned: Mutex<Vec<Attempt>>,
    pub(crate) settler: Settler,
    pub(crate) limiter: Limiter,
    pub(crate) registration: lease::Registration,
    /// The id under which this process claims; `None` while it has no lease.
    pub(crate) identity: watch::Sender<Option<WorkerId>>,
    /// Notified when another process announced due work.
    pub(crate) woken: Notify,
    /// The places for jobs that run alone.
    pub(crate) isolated: Semaphore,
    /// Cancelled when the process takes no new work.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when everything has ended.
    pub(crate) stopped: CancellationToken,
}

impl Process {
    /// Returns the id under which this process claims now.
    pub(crate) fn identity(&self) -> Option<WorkerId> {
        *self.identity.borrow()
    }

    /// Waits until this process has a lease.
    pub(crate) async fn wait_for_lease(&self) {
        // This cannot fail: the sender lives in `self`.
        let _ = self.identity.subscribe().wait_for(Option::is_some).await;
    }
}
