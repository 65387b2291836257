//! Redis: the window of due jobs, signals between processes, and rate limits. All of it may be lost
//! at any moment: the dispatcher fills the window again from PostgreSQL.

mod limiter;
mod ready_queue;
mod signals;

use std::{sync::Arc, time::Duration};

use redis::{
    Client, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

pub use self::{
    limiter::{Left, Limiter, Quota, RateLimited, Taken},
    signals::{SUBSCRIPTION_LIFE, Signal, listen},
};
pub(super) use limiter::at_once;

/// The time that a pop waits for an id before it returns none.
const POP_WAIT: Duration = Duration::from_secs(1);

/// A client of the window. Clones share a connection that reconnects by itself. Its methods fail
/// while Redis is away, and callers then go on without it.
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
    /// Opens a window under the key prefix `prefix`. Connects on first use, so that a program can
    /// start while Redis is away.
    pub fn open(url: &str, prefix: &str) -> RedisResult<Self> {
        let client = Client::open(url)?;
        let shared = lazy_connection(&client)?;
        Ok(Self { client, shared, prefix: prefix.into() })
    }

    /// Returns the same window over a separate connection, for pops that wait.
    pub fn own_connection(&self) -> RedisResult<Self> {
        let shared = lazy_connection(&self.client)?;
        Ok(Self { client: self.client.clone(), shared, prefix: self.prefix.clone() })
    }

    /// Checks that Redis responds. Replaces a broken connection first: it says nothing about Redis
    /// now.
    pub async fn ping(&self) -> RedisResult<()> {
        let mut shared = self.shared.clone();
        match redis::cmd("PING").query_async(&mut shared).await {
            Err(error) if !error.is_timeout() => redis::cmd("PING").query_async(&mut shared).await,
            answer => answer,
        }
    }
}

fn lazy_connection(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(POP_WAIT + Duration::from_secs(2)))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_secs(1));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
