//! Draining: runs due jobs in this process, without Redis and without waiting. For tests and small
//! tools.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use uuid::Uuid;

use super::{
    ActiveAttempts, AttemptEnd, Claimed, Db, Engine, claim,
    dispatch::{self, Cursor, Order},
    lease, settle,
};
use crate::ids::{JobId, WorkerId};

/// Runs due jobs, follow-ups included, until none is due. Returns the number of attempts.
///
/// # Errors
/// Work kept coming after 10,000 attempts.
pub async fn drain<S>(engine: &Engine<S>) -> anyhow::Result<usize> {
    let registration = registration(engine);
    let worker_id = lease::register(&engine.db, &registration).await?;
    let mut attempts = 0;
    loop {
        let claimed = claim_due(&engine.db, worker_id, &registration.kinds).await?;
        if claimed.is_empty() {
            break;
        }
        for job in claimed {
            attempts += 1;
            anyhow::ensure!(attempts < 10_000, "work keeps coming");
            run(engine, job).await?;
        }
    }
    lease::deregister(&engine.db, worker_id).await?;
    Ok(attempts)
}

/// Runs one attempt of one job that is due, and no other job.
pub async fn run_one<S>(engine: &Engine<S>, id: JobId) -> anyhow::Result<()> {
    let registration = registration(engine);
    let worker_id = lease::register(&engine.db, &registration).await?;
    let mut tx = dispatch::begin(&engine.db).await?;
    while dispatch::promote(&mut tx).await? {}
    let queue = sqlx::query_scalar!(
        "
        update jobs
        set dispatched_at = coalesce(dispatched_at, engine_stamp())
        where id = $1 and state is not distinct from 'available'
        returning queue
        ",
        id.0
    )
    .fetch_optional(&mut *tx)
    .await?
    .context("the job is not due")?;
    tx.commit().await?;
    let claimed = claim(&engine.db, worker_id, &queue, &registration.kinds, &[id.0]).await?;
    run(engine, claimed.into_iter().next().context("the job cannot be claimed")?).await?;
    lease::deregister(&engine.db, worker_id).await?;
    Ok(())
}

fn registration<S>(engine: &Engine<S>) -> lease::Registration {
    lease::Registration {
        name: "drain".to_owned(),
        queues: BTreeMap::new(),
        kinds: engine.kind_names(),
        lease: Duration::from_mins(5),
    }
}

async fn run<S>(engine: &Engine<S>, job: Claimed) -> anyhow::Result<()> {
    let active = ActiveAttempts::default();
    let attempt = job.attempt;
    let outcome = engine.run(job, active.insert(attempt)).await;
    if let AttemptEnd::Completed(result) = outcome {
        let mut tx = engine.db.system().await?;
        settle::complete(&mut tx, &[(attempt, result)]).await?;
        tx.commit().await.context("could not settle")?;
    }
    Ok(())
}

/// Promotes, releases and claims jobs, like a dispatcher and a worker with a window between them.
pub(super) async fn claim_due(db: &Db, worker_id: WorkerId, kinds: &[String]) -> anyhow::Result<Vec<Claimed>> {
    let mut tx = dispatch::begin(db).await?;
    while dispatch::promote(&mut tx).await? {}
    let mut due = Vec::new();
    for queue in dispatch::survey(&mut tx).await?.into_iter().filter(|queue| !queue.is_paused) {
        for &priority in &queue.waiting {
            let (limits, at_once) = (queue.limits, queue.at_once);
            let order = Order { queue: &queue.name, priority, kinds, limits, room: 100, at_once, is_marked: false };
            let released = dispatch::release(&mut tx, &order, &mut Cursor::default()).await?;
            due.push((queue.name.clone(), released));
        }
    }
    tx.commit().await?;
    let mut claimed = Vec::new();
    for (queue, released) in due {
        let ids: Vec<Uuid> = released.into_iter().map(|job| job.id).collect();
        claimed.extend(claim(db, worker_id, &queue, kinds, &ids).await?);
    }
    Ok(claimed)
}
