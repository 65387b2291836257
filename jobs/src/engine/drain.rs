//! Running everything that is due in this process, without Redis and without waiting: for tests and small tools.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;

use uuid::Uuid;

use super::{
    Claimed, Engine, InHand, Outcome, claim,
    dispatch::{self, Cursor, Order},
    lease, settle,
};
use crate::ids::WorkerId;

/// Runs what is due, follow-ups included, until nothing is; answers how many attempts that took.
///
/// # Errors
/// The database refused, or work kept coming after 10,000 attempts.
pub async fn drain(engine: &Engine) -> anyhow::Result<usize> {
    let registration = lease::Registration {
        name: "drain".to_owned(),
        queues: BTreeMap::new(),
        kinds: engine.kind_names(),
        lease: Duration::from_mins(5),
    };
    let worker_id = lease::register(&engine.db, &registration).await?;
    let in_hand = InHand::default();
    let mut attempts = 0;
    loop {
        let claimed = claim_due(engine, worker_id, &registration.kinds).await?;
        if claimed.is_empty() {
            break;
        }
        for job in claimed {
            attempts += 1;
            anyhow::ensure!(attempts < 10_000, "work keeps coming");
            let attempt = job.attempt;
            let outcome = engine.run(job, in_hand.insert(attempt)).await;
            if let Outcome::Completed(result) = outcome {
                let mut tx = engine.db.system().await?;
                settle::complete(&mut tx, &[(attempt, result)]).await?;
                tx.commit().await.context("could not settle")?;
            }
            in_hand.remove(attempt);
        }
    }
    lease::deregister(&engine.db, worker_id).await?;
    Ok(attempts)
}

/// Promotes, releases and claims, in the place of a dispatcher and its window.
pub(super) async fn claim_due(engine: &Engine, worker_id: WorkerId, kinds: &[String]) -> anyhow::Result<Vec<Claimed>> {
    let mut tx = engine.db.system().await?;
    while dispatch::promote(&mut tx).await? {}
    let mut due = Vec::new();
    for queue in dispatch::survey(&mut tx).await?.into_iter().filter(|queue| !queue.is_paused) {
        for &priority in &queue.waiting {
            let order =
                Order { queue: &queue.name, priority, kinds, limits: queue.limits, room: 100, is_marked: false };
            let released = dispatch::release(&mut tx, &order, &mut Cursor::default()).await?;
            due.push((queue.name.clone(), released));
        }
    }
    tx.commit().await?;
    let mut claimed = Vec::new();
    for (queue, released) in due {
        let ids: Vec<Uuid> = released.into_iter().map(|job| job.id).collect();
        claimed.extend(claim(&engine.db, worker_id, &queue, kinds, &ids).await?);
    }
    Ok(claimed)
}
