//! A job every few milliseconds, so that there is always due work and a stall of the whole shows.

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

/// How often a job is enqueued.
const EVERY: Duration = Duration::from_millis(200);

/// Enqueues jobs until it is stopped.
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
                // While the database is away nothing is accepted.
                accepted.extend(beat(&db, tenant_id).await.ok());
                tokio::time::sleep(EVERY).await;
            }
            accepted
        });
        Self { stopping, beating }
    }

    /// Stops; answers the jobs that were accepted.
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
