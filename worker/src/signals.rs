//! Listens for signals of other processes through Redis: due work, and cancelled jobs.

use std::sync::Arc;

use jobs::engine::{Interrupt, SUBSCRIPTION_LIFE, Signal, listen};

use crate::process::Process;

/// Listens until the process has stopped. A missed signal costs a second, or waits for the next
/// renewal of the lease.
pub(crate) async fn obey_signals(process: Arc<Process>) {
    let heard = listen(SUBSCRIPTION_LIFE, || process.window.signals(), |signal| obey(&process, &signal));
    process.stopped.run_until_cancelled(heard).await;
}

fn obey(process: &Process, signal: &Signal) {
    match signal {
        Signal::Wake => process.woken.notify_one(),
        Signal::Cancelled(jobs) => process.active.interrupt(jobs, Interrupt::Cancelled),
    }
}
