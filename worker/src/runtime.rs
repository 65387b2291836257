//! The runtime: runs claimed jobs on apalis. It is the only module that knows apalis.
//!
//! apalis's own stores are not used (see `docs/ARCHITECTURE.md`). Our [`Backend`] reads an
//! in-process channel that the [`crate::feeder`] fills, and one handler serves all kinds. Retries,
//! leases and results belong to the ledger.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use apalis::{
    layers::WorkerBuilderExt as _,
    prelude::{
        Backend, Data, Monitor, ParallelizeExt as _, RandomId, Task, TaskBuilder, TaskId, WorkerBuilder, WorkerContext,
    },
};
use apalis_core::{
    backend::{BackendConfig, finalize::Ephemeral},
    layers::Identity,
};
use futures_util::FutureExt as _;
use jobs::engine::AttemptEnd;

use crate::{
    isolation,
    process::Process,
    ticket::{Ticket, Tickets},
};

/// Runs one apalis worker per queue until `stopping`. Running jobs then go on for at most `drain`.
pub(crate) async fn run(process: Arc<Process>, queues: &[(&'static str, Tickets)], drain: Duration) {
    let mut monitor = Monitor::new().shutdown_timeout(drain).should_restart(|_, _| true);
    for (queue, tickets) in queues {
        let (queue, tickets, process) = (*queue, Arc::clone(tickets), Arc::clone(&process));
        monitor = monitor.register(move |restarts| {
            WorkerBuilder::new(format!("{queue}-{restarts}"))
                .backend(Channel { tickets: Arc::clone(&tickets) })
                .data(Arc::clone(&process))
                .enable_tracing()
                .parallelize(tokio::spawn)
                .build(run_ticket)
        });
    }
    let stopping = process.stopping.clone();
    let signal = async move {
        stopping.cancelled().await;
        Ok::<(), std::io::Error>(())
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        tracing::error!(%error, "the runtime ended badly");
    }
}

/// Runs one claimed job. It is the only handler: the ledger's row names the kind.
async fn run_ticket(ticket: Ticket, process: Data<Arc<Process>>) {
    let attempt = ticket.job.attempt;
    match lost_in_panic(AssertUnwindSafe(outcome_of(ticket, &process)).catch_unwind().await) {
        AttemptEnd::Completed(result) => process.settler.complete(attempt, result).await,
        AttemptEnd::Settled | AttemptEnd::Lost => process.active.remove(attempt),
        AttemptEnd::Returned => {
            process.returned.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
            process.active.remove(attempt);
        }
    }
}

/// Turns a panic of a handler into a lost attempt. The engine settles panics of kinds, so this one
/// is a bug of ours.
///
/// The attempt is let go, so that the next renewal of the lease hands it back.
fn lost_in_panic(outcome: thread::Result<AttemptEnd>) -> AttemptEnd {
    outcome.unwrap_or_else(|_| {
        tracing::error!("a handler panicked; its attempt is handed back");
        AttemptEnd::Lost
    })
}

async fn outcome_of(ticket: Ticket, process: &Process) -> AttemptEnd {
    if let Err(limited) = process.limiter.start(&process.engine.db, &ticket.job).await {
        return process.engine.snooze(&ticket.job, limited, &ticket.interrupt).await;
    }
    if ticket.job.is_suspect() {
        let (job, interrupt) = ticket.leave_slot();
        return isolation::run(process, job, interrupt).await;
    }
    process.engine.run(ticket.job, ticket.interrupt).await
}

/// Returns the apalis task of a ticket. Its id is the job's id with the attempt's number.
fn task(ticket: Ticket) -> Task<Ticket> {
    let id = format!("{}:{}", ticket.job.attempt.job_id, ticket.job.attempt.number);
    TaskBuilder::new(ticket).task_id(TaskId::from_string(id)).build()
}

/// The apalis backend: a channel. It cannot fail, so an apalis worker never dies of it.
struct Channel {
    tickets: Tickets,
}

impl Backend for Channel {
    type Task = Task<Ticket>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.poll_recv(cx).map(|ticket| ticket.map(|ticket| Ok(task(ticket))))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Channel {
    type Args = Ticket;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        Identity::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_panics_lets_go_of_its_attempt() {
        assert!(matches!(lost_in_panic(std::panic::catch_unwind(|| panic!("a bug"))), AttemptEnd::Lost));
        assert!(matches!(lost_in_panic(Ok(AttemptEnd::Settled)), AttemptEnd::Settled));
    }
}
