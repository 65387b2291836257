//! The queues of our jobs. Each has its own slots in a worker, so slow jobs do not hold up jobs of
//! another queue.

use crate::engine::Queue;

/// Publishing to social networks.
pub const POSTING: Queue = Queue::new("posting");
/// Exchanging OAuth codes and refreshing tokens.
pub const OAUTH: Queue = Queue::new("oauth");
/// Calls of language models: slow, and few at a time.
pub const AI: Queue = Queue::new("ai");
/// Drawing pictures, which keeps a processor busy.
pub const MEDIA: Queue = Queue::new("media");
/// Everything else.
pub const DEFAULT: Queue = Queue::new("default");

/// All queues. The migrations give each a row.
pub const ALL: [Queue; 5] = [POSTING, OAUTH, AI, MEDIA, DEFAULT];

/// Returns the queue of that name.
#[must_use]
pub fn named(name: &str) -> Option<Queue> {
    ALL.into_iter().find(|queue| queue.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_found_by_their_names() {
        for queue in ALL {
            assert_eq!(named(queue.name()), Some(queue));
        }
        assert_eq!(named("nope"), None);
    }
}
