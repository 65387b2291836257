//! What processes tell each other through Redis: wake-ups, cancellations, and that a job said something. All of it may be lost.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use redis::RedisResult;
use uuid::Uuid;

use super::Window;
use crate::ids::JobId;

/// A signal carries this many ids at most.
const IDS_IN_A_SIGNAL: usize = 1_000;

/// Between two tries to subscribe.
const PAUSE: Duration = Duration::from_secs(1);

/// Subscribing takes this long at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a subscription lives unless a test says otherwise.
pub const SUBSCRIPTION_LIFE: Duration = Duration::from_mins(2);

/// What processes tell each other through Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// There is due work.
    Wake,
    /// Somebody cancelled these jobs while they ran.
    Cancelled(Vec<JobId>),
}

impl Signal {
    /// Reads ids of 16 bytes each; what is left over is none.
    fn cancelled(ids: &[u8]) -> Self {
        Self::Cancelled(ids.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).map(JobId).collect())
    }
}

impl Window {
    /// Tells the dispatcher that there is due work. Best effort: the dispatcher looks every second anyway.
    pub async fn wake(&self) {
        let published: RedisResult<()> =
            redis::cmd("PUBLISH").arg(self.wakes()).arg("").query_async(&mut self.shared.clone()).await;
        if let Err(error) = published {
            tracing::debug!(%error, "no wake-up sent");
        }
    }

    /// Tells the workers which running jobs somebody cancelled. Best effort: a renewal of the lease tells them too.
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

    /// Signals as they come. Ends when the connection does.
    ///
    /// # Errors
    /// Redis is away.
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

    /// Tells who follows a job that it said something. Best effort: they look every second anyway.
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

    /// The jobs that say something, as they do. Ends when the connection does.
    ///
    /// # Errors
    /// Redis is away.
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

/// Hears whatever `subscribe` brings, and subscribes anew when that ends and after each `life`: a connection that was cut
/// without a word would never tell. What is said between two subscriptions is missed. Does not end by itself.
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
