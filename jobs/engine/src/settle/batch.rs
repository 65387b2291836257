//! The batching settler: attempts that completed without writes of their own are written many at a time.

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

/// Written in one statement at most.
const BATCH: usize = 500;

/// While batches are this large, more is gathered before the next: few large ones cost less than many small ones.
const BUSY: usize = 20;
const GATHER: Duration = Duration::from_millis(2);

/// So many batches are written at a time: while one waits for the disk, the next is on its way.
const AT_ONCE: usize = 2;

/// What is to be written.
type Completed = mpsc::Receiver<(Attempt, Value)>;

/// Hands completed attempts to the settler.
#[derive(Debug, Clone)]
pub struct Settler {
    completed: mpsc::Sender<(Attempt, Value)>,
}

impl Settler {
    /// Starts the settler, on connections of its own: it waits for no job, and each knows its statements. Its task ends when
    /// every clone of the handle is gone and all is written, or at `abandon`.
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

    /// Has an attempt completed; the attempt stays active until that is written.
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
            // Carried over: rows that somebody else holds for a moment, or a database that is away.
            tokio::time::sleep(Duration::from_millis(20)).await;
            // The other one may be waiting for the next, with the queue in its hands.
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

/// Settles those that nobody else holds; answers the rest that is still ours.
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

/// Settles one by one what the database refuses as a batch; answers the rest that is still ours.
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

/// Has an attempt tried again whose completion the database refuses, so that it holds up no other.
async fn retry_refused(db: &Db, attempt: Attempt, refusal: sqlx::Error) -> Result<(), sqlx::Error> {
    let facts =
        Cause::new(CauseClass::Database, "The database refused its result; it is tried again.", refusal).facts();
    let mut tx = db.system().await?;
    let cancel = is_cancel_requested(&mut tx, attempt).await?;
    apply_verdict(&mut tx, attempt, &Verdict::refused(), Some(&facts), cancel).await?;
    tx.commit().await
}
