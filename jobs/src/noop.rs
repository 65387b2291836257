//! A job that does nothing, to try or to measure a deployment.

use serde::{Deserialize, Serialize};

use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry},
    queues,
    services::Services,
};

/// Does nothing.
///
/// Safe to repeat: there is nothing to repeat.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Noop {}

impl Job for Noop {
    type Services = Services;

    const KIND: &'static str = "noop";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::QUICK;
    const PERMISSION: Option<&'static str> = Some("jobs:write");

    async fn run(self, _cx: &JobContext) -> Result<Done, JobError> {
        Ok(Done::nothing("there is nothing to do in a noop"))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{engine::JobState, testing::Bench};

    #[sqlx::test(migrations = "../migrations")]
    async fn it_completes(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let id = bench.enqueue(&Noop::default()).await;
        assert_eq!(bench.drain().await, 1);
        assert_eq!(bench.job(id).await.state, JobState::Completed);
    }
}
