//! The tickets that go from the feeders to the runtime.

use std::sync::{Arc, Mutex};

use jobs::engine::{Claimed, Interrupt};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

/// A queue's claimed jobs.
pub(crate) type Tickets = Arc<Mutex<mpsc::Receiver<Ticket>>>;

/// A claimed job on its way to the handler, with the slot that it uses.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) job: Claimed,
    pub(crate) interrupt: watch::Receiver<Option<Interrupt>>,
    _slot: OwnedSemaphorePermit,
}

impl Ticket {
    /// Returns a ticket that keeps its slot until it is dropped.
    pub(crate) fn new(job: Claimed, interrupt: watch::Receiver<Option<Interrupt>>, slot: OwnedSemaphorePermit) -> Self {
        Self { job, interrupt, _slot: slot }
    }

    /// Frees the slot for another job, because this one runs elsewhere.
    pub(crate) fn leave_slot(self) -> (Claimed, watch::Receiver<Option<Interrupt>>) {
        (self.job, self.interrupt)
    }
}
