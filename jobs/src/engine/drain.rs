//! Running everything that is due in this process, without Redis and without waiting: for tests and small tools.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;

use super::{Engine, InHand, Outcome, Queue, claim, dispatch, lease, settle};

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
        while dispatch::promote(&engine.db).await? {}
        let mut ids = Vec::new();
        for queue in Queue::ALL {
            let mut cursor = dispatch::Cursor::default();
            let released = dispatch::release(&engine.db, queue.name(), &registration.kinds, 100, &mut cursor).await?;
            ids.extend(released.into_iter().map(|job| job.id));
        }
        let claimed = claim(&engine.db, worker_id, &registration.kinds, &ids).await?;
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
