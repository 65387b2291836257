//! Listens to what other processes tell through Redis: that there is due work, and which running jobs were cancelled.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use jobs::engine::{Interrupt, Signal};

use crate::process::Process;

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// Subscribing takes this long at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Then it subscribes anew: a connection that was cut without a word would never tell.
const LIFE: Duration = Duration::from_mins(2);

/// Listens until the process has stopped. What is missed costs a second, or waits for the next renewal of the lease.
pub(crate) async fn listen(process: Arc<Process>) {
    let stopped = process.stopped.clone();
    stopped.run_until_cancelled(listen_forever(&process)).await;
}

async fn listen_forever(process: &Process) {
    loop {
        match tokio::time::timeout(PATIENCE, process.window.signals()).await {
            Ok(Ok(signals)) => {
                let told = signals.for_each(|signal| async move { obey(process, &signal) });
                if tokio::time::timeout(LIFE, told).await.is_err() {
                    continue;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "no signals: Redis is away"),
            Err(_) => tracing::debug!("no signals: Redis does not answer"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn obey(process: &Process, signal: &Signal) {
    match signal {
        Signal::Wake => process.woken.notify_one(),
        Signal::Cancelled(jobs) => process.in_hand.interrupt(jobs, Interrupt::Cancelled),
    }
}
