//! Waits for a condition, with a bound.

use std::time::{Duration, Instant};

use anyhow::bail;

/// The interval between two looks.
const EVERY: Duration = Duration::from_millis(40);

/// Polls `look` until it returns something, at most for `bound`.
pub(crate) async fn until<T>(
    what: &str,
    bound: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if begun.elapsed() > bound {
            bail!("timed out after {} s, waiting for {what}", bound.as_secs());
        }
        tokio::time::sleep(EVERY).await;
    }
}
