//! The heartbeat: keeps the process's lease, on its own connection.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobs::{
    engine::{
        Db, Interrupt,
        lease::{self, Renewal},
    },
    ids::WorkerId,
};
use tokio::time::{error::Elapsed, timeout};

use crate::process::Process;

/// The time limit for registering again, and for taking over attempts.
const PATIENCE: Duration = Duration::from_secs(5);

/// Renews the lease until the process has stopped.
///
/// If the lease cannot be renewed in time, all active attempts are lost. The process takes a new id
/// as soon as it can.
pub(crate) async fn beat(process: Arc<Process>) {
    let mut db = process.engine.db.own_connection();
    let lease = process.registration.lease;
    let every = lease / 3;
    let mut renewed = Instant::now();
    let mut pause_for = every;
    let mut beats_in_time = true;
    let mut lost = None;
    loop {
        // A fifth of the lease is reserved for statements on their way to the database.
        let left = lease.mul_f64(0.8).saturating_sub(renewed.elapsed());
        let pause = if process.identity().is_some() { pause_for.min(left) } else { every };
        let slept = Instant::now();
        if process.stopped.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        beats_in_time &= slept.elapsed() < pause + every;
        pause_for = every;
        let Some(id) = process.identity() else {
            if register_anew(&process, &db, &mut renewed, lost).await.is_err() {
                tracing::warn!("registering anew, or taking over, took too long");
                db = process.engine.db.own_connection();
            }
            continue;
        };
        let asked = Instant::now();
        let active = process.active.list();
        let at_most = every.min(lease.mul_f64(0.8).saturating_sub(renewed.elapsed()));
        let renewal =
            timeout(at_most, lease::renew(&db, id, lease, renewed.elapsed() < lease, &active, every * 2)).await;
        match renewal {
            Ok(Ok(renewal)) if renewal.is_alive => {
                (renewed, beats_in_time) = (asked, true);
                if renewal.was_overtaken {
                    tracing::warn!("the database's clock was set ahead of the lease, which stands");
                }
                obey(&process, &renewal);
            }
            Ok(Ok(_)) => lose(&process, id, "the lease was over"),
            // A broken connection is replaced soon: one failure must not cost the lease.
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not renew the lease");
                pause_for = every / 8;
            }
            Err(_) => {
                tracing::warn!("renewing the lease took too long");
                // The connection may hang for as long as the kernel lets it, so another one is
                // used.
                db = process.engine.db.own_connection();
                pause_for = every / 8;
            }
        }
        if renewed.elapsed() >= lease.mul_f64(0.8) {
            // The attempts are taken over only if the process could have renewed and the database
            // could not. If the process was suspended, or a job blocked the heartbeat, the rescue
            // handles them and counts a death.
            lost = beats_in_time.then_some(id);
            lose(&process, id, "the lease could not be renewed in time");
        }
    }
}

fn obey(process: &Process, renewal: &Renewal) {
    process.active.interrupt(&renewal.superseded, Interrupt::Lost);
    process.active.interrupt(&renewal.cancelled, Interrupt::Cancelled);
}

fn lose(process: &Process, id: WorkerId, why: &str) {
    if process.identity.send_replace(None).is_some() {
        tracing::error!(worker_id = %id, why, "lost the lease; active attempts are dropped");
        process.active.interrupt_all(Interrupt::Lost);
    }
}

/// Takes a new id, and moves to it the attempts of `lost` that nobody has rescued.
///
/// Attempts that were dropped meanwhile are not active, so the next renewal hands them back without
/// counting a failure.
async fn register_anew(
    process: &Process,
    db: &Db,
    renewed: &mut Instant,
    lost: Option<WorkerId>,
) -> Result<(), Elapsed> {
    if process.stopping.is_cancelled() {
        return Ok(());
    }
    let asked = Instant::now();
    match timeout(PATIENCE, lease::register(db, &process.registration)).await? {
        Ok(id) => {
            *renewed = asked;
            process.identity.send_replace(Some(id));
            tracing::info!(worker_id = %id, "registered anew");
            // This must end before the new lease has to be renewed.
            let at_most = PATIENCE.min(process.registration.lease / 3);
            if let Some(lost) = lost
                && let Err(error) = timeout(at_most, lease::take_over(db, lost, id)).await?
            {
                tracing::warn!(%error, "could not take over the old attempts; the rescue finds them");
            }
        }
        Err(error) => tracing::warn!(%error, "could not register anew"),
    }
    Ok(())
}
