//! Signals between processes through Redis: wake-ups, cancellations and events of jobs. Any of them
//! may be lost.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use redis::RedisResult;
use uuid::Uuid;

use super::Window;
use crate::ids::JobId;

/// The most ids in one signal.
const IDS_IN_A_SIGNAL: usize = 1_000;

/// The pause between two tries to subscribe.
const PAUSE: Duration = Duration::from_secs(1);

/// The time limit of a subscription's start.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lifetime of a subscription, unless a test sets another.
pub const SUBSCRIPTION_LIFE: Duration = Duration::from_mins(2);

/// A signal between processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Work is due.
    Wake,
    /// These jobs were cancelled while they ran.
    Cancelled(Vec<JobId>),
}

impl Signal {
    /// Reads ids of 16 bytes each and ignores an incomplete one at the end.
    fn cancelled(ids: &[u8]) -> Self {
        Self::Cancelled(ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).map(JobId).collect())
    }
}

impl Window {
    /// Tells the dispatcher that work is due. Best effort: the dispatcher looks every second
    /// anyway.
    pub async fn wake(&self) {
        let published: RedisResult<()> =
            redis::cmd("PUBLISH").arg(self.wakes()).arg("").query_async(&mut self.shared.clone()).await;
        if let Err(error) = published {
            tracing::debug!(%error, "no wake-up sent");
        }
    }

    /// Tells the workers which running jobs were cancelled. Best effort: a renewal of the lease
    /// tells them too.
    pub async fn cancel(&self, jobs: &[JobId]) {
        for jobs in jobs.chunks(IDS_IN_A_SIGNAL) {
            let ids: Vec<u8> = jobs.iter().flat_map(|id| *id.0.as_bytes()).collect();
            let published: RedisResult<()> =
                redis::cmd("PUBLISH").arg(self.cancellations()).arg(ids).query_async(&mut self.shared.clone()).await;
            if let Err(error) = published {
                tracing::debug!(%error, "no cancellation sent");
            }
        }
    }

    /// Subscribes to signals. The stream ends when the connection does.
    pub async fn signals(&self) -> RedisResult<impl Stream<Item = Signal> + use<>> {
        let (wakes, cancellations) = (self.wakes(), self.cancellations());
        let mut subscription = self.client.get_async_pubsub().await?;
        subscription.subscribe(&[&wakes, &cancellations]).await?;
        Ok(subscription.into_on_message().map(move |message| {
            if message.get_channel_name() == cancellations {
                Signal::cancelled(message.get_payload_bytes())
            } else {
                Signal::Wake
            }
        }))
    }

    /// Announces that a job has new events. Best effort: readers look every second anyway.
    pub async fn announce(&self, job_id: JobId) {
        let published: RedisResult<()> = redis::cmd("PUBLISH")
            .arg(self.events())
            .arg(job_id.0.as_bytes().as_slice())
            .query_async(&mut self.shared.clone())
            .await;
        if let Err(error) = published {
            tracing::debug!(%error, "nobody was told of an event");
        }
    }

    /// Subscribes to the ids of jobs with new events. The stream ends when the connection does.
    pub async fn announcements(&self) -> RedisResult<impl Stream<Item = JobId> + use<>> {
        let mut subscription = self.client.get_async_pubsub().await?;
        subscription.subscribe(self.events()).await?;
        let job_id = |message: redis::Msg| Uuid::from_slice(message.get_payload_bytes()).ok().map(JobId);
        Ok(subscription.into_on_message().filter_map(move |message| std::future::ready(job_id(message))))
    }

    fn events(&self) -> String {
        format!("{}events", self.prefix)
    }

    fn wakes(&self) -> String {
        format!("{}wakes", self.prefix)
    }

    fn cancellations(&self) -> String {
        format!("{}cancellations", self.prefix)
    }
}

/// Passes every message of a subscription to `hear`, and never returns.
///
/// It subscribes again when the subscription ends and after each `life`, because a connection that
/// was cut silently would never report an error. Messages between two subscriptions are missed.
pub async fn listen<S, F>(life: Duration, subscribe: impl Fn() -> F, mut hear: impl FnMut(S::Item))
where
    S: Stream,
    F: Future<Output = RedisResult<S>>,
{
    loop {
        match tokio::time::timeout(PATIENCE, subscribe()).await {
            Ok(Ok(messages)) => {
                let mut messages = pin!(messages);
                let heard = async {
                    while let Some(message) = messages.next().await {
                        hear(message);
                    }
                };
                if tokio::time::timeout(life, heard).await.is_err() {
                    continue;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "nothing is heard: Redis is away"),
            Err(_) => tracing::debug!("nothing is heard: Redis does not answer"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
