//! Waiting for something to become true, never for ever.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Seldom enough not to be felt by what is measured.
const EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something, at most for `bound`.
///
/// # Errors
/// Looking failed, or there was nothing in time.
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
            bail!("waited {} s in vain for {what}", bound.as_secs());
        }
        tokio::time::sleep(EVERY).await;
    }
}
