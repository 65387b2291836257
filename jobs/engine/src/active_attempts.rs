//! The active attempts of this process: those that are claimed and not settled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use super::{Attempt, Interrupt};
use crate::ids::JobId;

type Held = HashMap<JobId, (Attempt, watch::Sender<Option<Interrupt>>)>;

/// A shared list of active attempts, with a way to interrupt each.
#[derive(Debug, Clone, Default)]
pub struct ActiveAttempts {
    held: Arc<Mutex<Held>>,
}

impl ActiveAttempts {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no holder panics")
    }

    /// Adds an attempt. The receiver tells it when to stop.
    #[must_use]
    pub fn insert(&self, attempt: Attempt) -> watch::Receiver<Option<Interrupt>> {
        let (sender, receiver) = watch::channel(None);
        self.held().insert(attempt.job_id, (attempt, sender));
        receiver
    }

    /// Removes an attempt, unless another attempt of its job took its place.
    pub fn remove(&self, attempt: Attempt) {
        let mut held = self.held();
        if held.get(&attempt.job_id).is_some_and(|(other, _)| *other == attempt) {
            held.remove(&attempt.job_id);
        }
    }

    /// Returns all active attempts.
    #[must_use]
    pub fn list(&self) -> Vec<Attempt> {
        self.held().values().map(|(attempt, _)| *attempt).collect()
    }

    /// Returns true if no attempt is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    /// Interrupts some attempts. The first reason stays, except that a loss replaces it.
    pub fn interrupt(&self, jobs: &[JobId], why: Interrupt) {
        let held = self.held();
        for (_, sender) in jobs.iter().filter_map(|id| held.get(id)) {
            send(sender, why);
        }
    }

    /// Interrupts all attempts.
    pub fn interrupt_all(&self, why: Interrupt) {
        for (_, sender) in self.held().values() {
            send(sender, why);
        }
    }
}

fn send(sender: &watch::Sender<Option<Interrupt>>, why: Interrupt) {
    sender.send_if_modified(|seen| {
        let changes = seen.is_none() || (why == Interrupt::Lost && *seen != Some(Interrupt::Lost));
        if changes {
            *seen = Some(why);
        }
        changes
    });
}
