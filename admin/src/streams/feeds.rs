//! Feeds: values that are read again and again, once for all streams that show the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// The most feeds of one sort.
const MAX_FEEDS: usize = 16;

/// The share of the time in which a feed may read: a tenth. A slow one so waits longer.
const REST: u32 = 10;

/// The longest wait between reads, whatever a read took.
const MAX_REST: Duration = Duration::from_secs(30);

/// The newest value of a feed; `None` until it was read once.
pub(crate) type Newest<T> = watch::Receiver<Option<Arc<T>>>;

/// The senders of feeds, by the feeds' names.
type Senders<T> = HashMap<String, watch::Sender<Option<Arc<T>>>>;

/// The feeds of one sort; clones share them. A feed ends after its last stream.
#[derive(Debug)]
pub(crate) struct Feeds<T> {
    feeds: Arc<Mutex<Senders<T>>>,
}

impl<T> Clone for Feeds<T> {
    fn clone(&self) -> Self {
        Self { feeds: Arc::clone(&self.feeds) }
    }
}

impl<T> Default for Feeds<T> {
    fn default() -> Self {
        Self { feeds: Arc::default() }
    }
}

impl<T: Send + Sync + 'static> Feeds<T> {
    fn feeds(&self) -> MutexGuard<'_, Senders<T>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the feed of that name, and starts it if there is none. Returns `None` if there are
    /// too many feeds.
    pub(crate) fn follow<R>(
        &self,
        name: &str,
        tick: Duration,
        read: impl Fn() -> R + Send + Sync + 'static,
    ) -> Option<Newest<T>>
    where
        R: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let mut feeds = self.feeds();
        if let Some(sender) = feeds.get(name) {
            return Some(sender.subscribe());
        }
        if feeds.len() >= MAX_FEEDS {
            return None;
        }
        let (sender, newest) = watch::channel(None);
        feeds.insert(name.to_owned(), sender.clone());
        tokio::spawn(self.clone().run(name.to_owned(), tick, read, sender));
        Some(newest)
    }

    async fn run<R>(
        self,
        name: String,
        tick: Duration,
        read: impl Fn() -> R + Send + Sync + 'static,
        sender: watch::Sender<Option<Arc<T>>>,
    ) where
        R: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        loop {
            let begun = Instant::now();
            match read().await {
                Ok(value) => {
                    sender.send_replace(Some(Arc::new(value)));
                }
                Err(error) => tracing::debug!(%error, "could not read a feed, trying again"),
            }
            tokio::time::sleep(tick.max((begun.elapsed() * REST).min(MAX_REST))).await;
            let mut feeds = self.feeds();
            // Nobody can follow it while the lock is held.
            if sender.receiver_count() == 0 {
                feeds.remove(&name);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn streams_of_one_feed_share_its_reads_and_the_last_one_ends_it() {
        let feeds: Feeds<usize> = Feeds::default();
        let started = Arc::new(AtomicUsize::new(0));
        let follow = |name: &str| {
            let started = Arc::clone(&started);
            let reader = started.load(Ordering::Relaxed);
            feeds.follow(name, Duration::from_millis(5), move || {
                started.fetch_add(1, Ordering::Relaxed);
                async move { Ok(reader) }
            })
        };
        let mut first = follow("a").unwrap();
        first.changed().await.unwrap();
        let mut second = follow("a").unwrap();
        second.changed().await.unwrap();
        assert_eq!(second.borrow().as_deref(), Some(&0), "it is read by the first one's reader");
        let others: Vec<_> = (1..MAX_FEEDS).map(|number| follow(&number.to_string()).unwrap()).collect();
        assert!(follow("one more").is_none());
        drop((first, second, others));
        let ended = async {
            while !feeds.feeds().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), ended).await.expect("feeds without streams end");
    }
}
