//! The window in Redis: ids of due jobs, one sorted set a queue, and wake-ups. All of it can be lost at any moment;
//! the dispatcher fills it again from PostgreSQL.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use redis::{
    Client, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use uuid::Uuid;

use super::{
    dispatch::Released,
    failpoint::{self, Failpoint},
};
use crate::ids::JobId;

/// How long a pop waits for an id before it answers none.
const POP_WAIT: Duration = Duration::from_secs(1);

/// A signal carries this many ids at most.
const IDS_IN_A_SIGNAL: usize = 1_000;

/// A handle on the window; clones share a connection that reconnects by itself.
#[derive(Clone)]
pub struct Window {
    client: Client,
    shared: ConnectionManager,
    prefix: Arc<str>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Window {
    /// A window under the key prefix `prefix`. Connects when first used, so that a program starts while Redis is away.
    ///
    /// # Errors
    /// The URL is malformed.
    pub fn open(url: &str, prefix: &str) -> RedisResult<Self> {
        let client = Client::open(url)?;
        let shared = lazy_connection(&client)?;
        Ok(Self { client, shared, prefix: prefix.into() })
    }

    /// The same window over a connection of its own, for pops that wait.
    ///
    /// # Errors
    /// The connection cannot be set up.
    pub fn own_connection(&self) -> RedisResult<Self> {
        let shared = lazy_connection(&self.client)?;
        Ok(Self { client: self.client.clone(), shared, prefix: self.prefix.clone() })
    }

    /// Adds jobs at their places. One that is there keeps its place.
    ///
    /// # Errors
    /// Redis is away or refuses (such as when it is full).
    pub async fn push(&self, queue: &str, jobs: &[Released]) -> RedisResult<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        failpoint::reach(Failpoint::Released);
        let mut command = redis::cmd("ZADD");
        command.arg(self.key(queue)).arg("NX");
        for job in jobs {
            command.arg(job.place).arg(job.id.as_bytes().as_slice());
        }
        command.query_async(&mut self.shared.clone()).await
    }

    /// Takes a start at a rate; answers how long to wait, zero if it was taken.
    pub(super) async fn rate(
        &self,
        script: &redis::Script,
        key: &str,
        interval: Duration,
        tolerance: Duration,
    ) -> RedisResult<Duration> {
        let wait: u64 = script
            .key(format!("{}rate:{key}", self.prefix))
            .arg(microseconds(interval))
            .arg(microseconds(tolerance))
            .invoke_async(&mut self.shared.clone())
            .await?;
        Ok(Duration::from_micros(wait))
    }

    /// Takes one of each quota, or of none: keys with the time that one takes and the time of all. Answers for each how long to
    /// wait and when it is whole again.
    pub(super) async fn take(
        &self,
        script: &redis::Script,
        keys: &[(String, Duration, Duration)],
    ) -> RedisResult<Vec<(Duration, Duration)>> {
        let mut call = script.prepare_invoke();
        for (key, interval, window) in keys {
            call.key(format!("{}{key}", self.prefix)).arg(microseconds(*interval)).arg(microseconds(*window));
        }
        let answers: Vec<u64> = call.invoke_async(&mut self.shared.clone()).await?;
        let (pairs, _) = answers.as_chunks::<2>();
        Ok(pairs
            .iter()
            .map(|[wait, full_in]| (Duration::from_micros(*wait), Duration::from_micros(*full_in)))
            .collect())
    }

    /// How many ids the windows of these queues hold.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn sizes(&self, queues: &[String]) -> RedisResult<Vec<usize>> {
        let mut commands = redis::pipe();
        for queue in queues {
            commands.cmd("ZCARD").arg(self.key(queue));
        }
        commands.query_async(&mut self.shared.clone()).await
    }

    /// Ids in the windows of these queues that stand before a place: nobody popped them since.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn list_before(&self, queues: &[String], place: i64) -> RedisResult<Vec<Uuid>> {
        let mut commands = redis::pipe();
        for queue in queues {
            commands.cmd("ZRANGEBYSCORE").arg(self.key(queue)).arg("-inf").arg(place).arg("LIMIT").arg(0).arg(5_000);
        }
        let ids: Vec<Vec<Vec<u8>>> = commands.query_async(&mut self.shared.clone()).await?;
        Ok(ids.iter().flatten().filter_map(|id| Uuid::from_slice(id).ok()).collect())
    }

    /// Empties the window of a queue; answers how many ids were in it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn clear(&self, queue: &str) -> RedisResult<usize> {
        let (count, _): (usize, usize) = redis::pipe()
            .atomic()
            .zcard(self.key(queue))
            .del(self.key(queue))
            .query_async(&mut self.shared.clone())
            .await?;
        Ok(count)
    }

    /// Takes up to `count` ids; waits up to a second for the first.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn pop(&self, queue: &str, count: usize) -> RedisResult<Vec<Uuid>> {
        let ids = self.pop_now(queue, count).await?;
        if !ids.is_empty() {
            return Ok(ids);
        }
        let first: Option<(Vec<u8>, Vec<u8>, f64)> = redis::cmd("BZPOPMIN")
            .arg(self.key(queue))
            .arg(POP_WAIT.as_secs_f64())
            .query_async(&mut self.shared.clone())
            .await?;
        let Some((_, id, _)) = first else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<Uuid> = Uuid::from_slice(&id).into_iter().collect();
        if count > 1 {
            ids.extend(self.pop_now(queue, count - 1).await?);
        }
        Ok(ids)
    }

    async fn pop_now(&self, queue: &str, count: usize) -> RedisResult<Vec<Uuid>> {
        let popped: Vec<(Vec<u8>, f64)> =
            redis::cmd("ZPOPMIN").arg(self.key(queue)).arg(count).query_async(&mut self.shared.clone()).await?;
        Ok(popped.iter().filter_map(|(id, _)| Uuid::from_slice(id).ok()).collect())
    }

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

    /// Whether Redis answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> RedisResult<()> {
        redis::cmd("PING").query_async(&mut self.shared.clone()).await
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

    fn key(&self, queue: &str) -> String {
        format!("{}window:{queue}", self.prefix)
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

/// What processes tell each other through Redis. All of it may be lost.
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

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn lazy_connection(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(POP_WAIT + Duration::from_secs(2)))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_secs(1));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
