//! The batching settler: writes many attempts at a time that completed without their own writes.

use std::{collections::HashSet, slice, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Verdict, apply_verdict, complete_free, fail::is_passing, list_current};
use crate::{
    ActiveAttempts, Attempt, Cause, CauseClass, Db,
    context::is_cancel_requested,
    failpoint::{self, Failpoint},
};

/// The most attempts in one statement.
const BATCH: usize = 500;

/// The batch size from which on the settler gathers more before the next batch: few large batches
/// cost less than many small ones.
const BUSY: usize = 20;
const GATHER: Duration = Duration::from_millis(2);

/// The number of batches that are written at the same time: one can be prepared while another waits
/// for the disk.
const AT_ONCE: usize = 2;

/// The queue of completed attempts.
type Completed = mpsc::Receiver<(Attempt, Value)>;

/// The settler's sender of completed attempts.
#[derive(Debug, Clone)]
pub struct Settler {
    completed: mpsc::Sender<(Attempt, Value)>,
}

impl Settler {
    /// Starts the settler, on its own connections: it never waits for a job, and its statements
    /// stay prepared. Its task ends when every clone of the sender is gone and all is written, or
    /// at `abandon`.
    #[must_use]
    pub fn start(db: Db, active: ActiveAttempts, abandon: CancellationToken) -> (Self, tokio::task::JoinHandle<()>) {
        let (completed, queue) = mpsc::channel(4 * BATCH);
        let queue = Arc::new(Mutex::new(queue));
        let task = tokio::spawn(async move {
            let mut writers = JoinSet::new();
            for _ in 0..AT_ONCE {
                writers.spawn(settle_all(db.own_connection(), active.clone(), Arc::clone(&queue)));
            }
            abandon.run_until_cancelled(writers.join_all()).await;
        });
        (Self { completed }, task)
    }

    /// Queues the completion of an attempt, which stays active until it is written.
    pub async fn complete(&self, attempt: Attempt, result: Value) {
        if self.completed.send((attempt, result)).await.is_err() {
            tracing::warn!(job_id = %attempt.job_id, "the settler has stopped; the job runs again");
        }
    }
}

async fn settle_all(db: Db, active: ActiveAttempts, queue: Arc<Mutex<Completed>>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut is_busy = false;
    loop {
        let room = BATCH - batch.len();
        if batch.is_empty() {
            let mut queue = queue.lock().await;
            if is_busy && queue.len() < BATCH / 2 {
                tokio::time::sleep(GATHER).await;
            }
            if queue.recv_many(&mut batch, room).await == 0 {
                return;
            }
            is_busy = batch.len() >= BUSY;
        } else {
            // The batch has leftovers: somebody holds their rows for a moment, or the database is
            // away.
            tokio::time::sleep(Duration::from_millis(20)).await;
            // The other writer may hold the queue while it waits for the next attempt.
            if let Ok(mut queue) = queue.try_lock() {
                while batch.len() < BATCH
                    && let Ok(next) = queue.try_recv()
                {
                    batch.push(next);
                }
            }
        }
        let settled = match settle_batch(&db, &batch).await {
            Err(error) if !is_passing(&error) => {
                tracing::error!(%error, jobs = batch.len(), "could not settle a batch; now one by one");
                Ok(settle_each(&db, &batch).await)
            }
            settled => settled,
        };
        match settled {
            Ok(carried) => {
                let kept: HashSet<Attempt> = carried.iter().map(|(attempt, _)| *attempt).collect();
                for (attempt, _) in batch.iter().filter(|(attempt, _)| !kept.contains(attempt)) {
                    active.remove(*attempt);
                }
                batch = carried;
            }
            Err(error) => {
                tracing::warn!(%error, jobs = batch.len(), "could not settle a batch, trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Settles the attempts whose rows nobody else holds. Returns the others that are still the latest.
async fn settle_batch(db: &Db, batch: &[(Attempt, Value)]) -> Result<Vec<(Attempt, Value)>, sqlx::Error> {
    failpoint::reach(Failpoint::BeforeSettle);
    let mut tx = db.system().await?;
    let settled = complete_free(&mut tx, batch).await?;
    let held = if settled.len() < batch.len() {
        let attempts: Vec<Attempt> = batch.iter().map(|(attempt, _)| *attempt).collect();
        let current: HashSet<Uuid> = list_current(&mut tx, &attempts).await?.into_iter().collect();
        batch.iter().filter(|(attempt, _)| current.contains(&attempt.job_id.0)).cloned().collect()
    } else {
        Vec::new()
    };
    tx.commit().await?;
    failpoint::reach(Failpoint::Settled);
    Ok(held)
}

/// Settles attempts one by one after the database refused their batch. Returns those that are left
/// and still the latest.
async fn settle_each(db: &Db, batch: &[(Attempt, Value)]) -> Vec<(Attempt, Value)> {
    let mut held = Vec::new();
    for (at, one) in batch.iter().enumerate() {
        let settled = match settle_batch(db, slice::from_ref(one)).await {
            Err(error) if !is_passing(&error) => retry_refused(db, one.0, error).await.map(|()| Vec::new()),
            settled => settled,
        };
        match settled {
            Ok(still) => held.extend(still),
            Err(error) if is_passing(&error) => {
                held.extend_from_slice(&batch[at..]);
                break;
            }
            Err(error) => tracing::error!(job_id = %one.0.job_id, %error, "let go: the next renewal hands it back"),
        }
    }
    held
}

/// Retries a job whose completion the database refuses, so that it holds up no other.
async fn retry_refused(db: &Db, attempt: Attempt, refusal: sqlx::Error) -> Result<(), sqlx::Error> {
    let facts =
        Cause::new(CauseClass::Database, "The database refused its result; it is tried again.", refusal).facts();
    let mut tx = db.system().await?;
    let cancel = is_cancel_requested(&mut tx, attempt).await?;
    apply_verdict(&mut tx, attempt, &Verdict::refused(), Some(&facts), cancel).await?;
    tx.commit().await
}
