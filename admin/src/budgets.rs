//! Budgets of memory and disk that all requests share: what does not fit is refused, or waits.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, config::BudgetConfig};

const MIB: usize = 1024 * 1024;

/// The budgets of this process; clones share them.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Bytes of bodies in memory, of requests and responses.
    pub(crate) bodies: Budget,
    /// Bytes of uploads on the disk.
    pub(crate) uploads: Budget,
    /// Bytes of pictures in memory, to be decoded and stored.
    pub(crate) pictures: Budget,
    /// Bytes of pictures that are decoded, in memory.
    pub(crate) decoding: Budget,
}

impl Budgets {
    /// Returns budgets of which nothing is taken.
    #[must_use]
    pub fn new(config: BudgetConfig) -> Self {
        let mib = |count: u32| Budget::new(count as usize * MIB);
        Self {
            bodies: mib(config.body_memory_mib),
            uploads: mib(config.upload_disk_mib),
            pictures: mib(config.picture_memory_mib),
            decoding: mib(config.decoding_memory_mib),
        }
    }
}

/// A number of things that may be held at once; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
}

/// A part of a budget. It returns when this is dropped.
#[derive(Debug)]
pub(crate) struct Held(OwnedSemaphorePermit);

impl Budget {
    fn new(size: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))) }
    }

    /// Takes a part of what is left, or refuses.
    pub(crate) fn try_take(&self, size: usize) -> Result<Held, ApiError> {
        let size = u32::try_from(size).map_err(|_| ApiError::busy())?;
        Arc::clone(&self.free).try_acquire_many_owned(size).map(Held).map_err(|_| ApiError::busy())
    }

    /// Waits for a part for `patience` at most. Requests are served in their order.
    pub(crate) async fn take(&self, size: usize, patience: Duration) -> Result<Held, ApiError> {
        let size = u32::try_from(size).map_err(|_| ApiError::busy())?;
        let taking = Arc::clone(&self.free).acquire_many_owned(size);
        match tokio::time::timeout(patience, taking).await {
            Ok(Ok(permit)) => Ok(Held(permit)),
            Ok(Err(_)) | Err(_) => Err(ApiError::busy()),
        }
    }
}

impl Held {
    /// Adds another part of the same budget.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_refused_until_something_returns() {
        let budget = Budget::new(10);
        let mut held = budget.try_take(6).unwrap();
        held.add(budget.try_take(4).unwrap());
        assert!(budget.try_take(1).is_err());
        assert!(budget.take(1, Duration::from_millis(1)).await.is_err());
        drop(held);
        assert!(budget.try_take(10).is_ok());
        assert!(budget.try_take(usize::MAX).is_err());
    }
}
