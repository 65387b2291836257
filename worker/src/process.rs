//! What the parts of a worker process share.

use std::sync::Mutex;

use jobs::{
    engine::{ActiveAttempts, Attempt, Engine, Limiter, Settler, Window, lease},
    ids::WorkerId,
};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// What the parts of a worker process share.
pub(crate) struct Process {
    pub(crate) engine: Engine,
    pub(crate) window: Window,
    pub(crate) active: ActiveAttempts,
    /// Attempts to hand back at the end.
    pub(crate) returned: Mutex<Vec<Attempt>>,
    pub(crate) settler: Settler,
    pub(crate) limiter: Limiter,
    pub(crate) registration: lease::Registration,
    /// The id under which this process claims; none while it has no lease.
    pub(crate) identity: watch::Sender<Option<WorkerId>>,
    /// Somebody said that there is due work.
    pub(crate) woken: Notify,
    /// Places for jobs that run alone.
    pub(crate) isolated: Semaphore,
    /// No new work from here on.
    pub(crate) stopping: CancellationToken,
    /// Everything has ended.
    pub(crate) stopped: CancellationToken,
}

impl Process {
    /// The id under which this process claims now.
    pub(crate) fn identity(&self) -> Option<WorkerId> {
        *self.identity.borrow()
    }

    /// Waits until this process has a lease.
    pub(crate) async fn wait_for_lease(&self) {
        // The sender is in `self`: it is not gone.
        let _ = self.identity.subscribe().wait_for(Option::is_some).await;
    }
}
