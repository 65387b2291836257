//! A background load: a job every few milliseconds, so that work is always due and a stall shows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jobs::{
    engine::{Db, NewJob},
    ids::TenantId,
    noop::Noop,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The interval between two jobs.
const EVERY: Duration = Duration::from_millis(200);

/// A task that enqueues jobs until it is stopped.
#[derive(Debug)]
pub(crate) struct BackgroundLoad {
    stopping: Arc<AtomicBool>,
    beating: JoinHandle<Vec<Uuid>>,
}

impl BackgroundLoad {
    pub(crate) fn start(db: Db, tenant_id: TenantId) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let beating = tokio::spawn(async move {
            let mut accepted = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                // The database rejects jobs while it is down.
                accepted.extend(beat(&db, tenant_id).await.ok());
                tokio::time::sleep(EVERY).await;
            }
            accepted
        });
        Self { stopping, beating }
    }

    /// Stops the load and returns the accepted jobs.
    pub(crate) async fn stop(self) -> Vec<Uuid> {
        self.stopping.store(true, Ordering::Relaxed);
        self.beating.await.expect("it does not panic")
    }
}

async fn beat(db: &Db, tenant_id: TenantId) -> Result<Uuid, jobs::engine::EnqueueError> {
    let mut tx = db.tenant(tenant_id).await?;
    let enqueued = tx.enqueue(NewJob::new(tenant_id, &Noop::default())).await?;
    tx.commit().await?;
    Ok(enqueued.id.0)
}
