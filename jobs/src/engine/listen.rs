//! Hearing what Redis publishes, for as long as a process runs.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use redis::RedisResult;

/// Between two tries to subscribe.
const PAUSE: Duration = Duration::from_secs(1);

/// Subscribing takes this long at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a subscription lives unless a test says otherwise.
pub const SUBSCRIPTION_LIFE: Duration = Duration::from_mins(2);

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
