//! Limits of lookups of wrong keys and cookies. They are counted in this process, so that lookups
//! over the limit cost no query.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{ApiError, config::Rate};

/// The number of wrong credentials that are looked up, for each request that a client may make
/// without credentials. Beyond it, the client's unseen credentials are refused too, even valid
/// ones, so it is generous.
const GUESSES_FOR_EACH: u32 = 10;

/// The time for which wrong credentials of a client count.
const MINUTE: Duration = Duration::from_mins(1);

/// The time for which a credential that was valid is still looked up, although its client sends
/// wrong ones. So others behind the same address can go on.
const GOOD_FOR: Duration = Duration::from_hours(1);

/// The most clients, and the most credentials, that are remembered.
const REMEMBERED: usize = 10_000;

/// The recent lookups.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    /// The wrong credentials of each client, since the first of them.
    guesses: HashMap<String, (u32, Instant)>,
    /// The hashes of credentials that were valid.
    good: HashMap<Vec<u8>, Instant>,
}

impl Lookups {
    /// Refuses to look up a credential that is not known to be valid, if its client sent too many
    /// wrong ones.
    pub(super) fn admit(&self, client: &str, fingerprint: &[u8], rate: Rate) -> Result<(), ApiError> {
        let recent = self.recent();
        if recent.good.get(fingerprint).is_some_and(|since| since.elapsed() < GOOD_FOR) {
            return Ok(());
        }
        let guesses = recent.guesses.get(client).filter(|(_, since)| since.elapsed() < MINUTE);
        match (guesses, rate.0) {
            (Some((count, since)), Some(most)) if *count >= most.get().saturating_mul(GUESSES_FOR_EACH) => {
                Err(ApiError::rate_limited(MINUTE.saturating_sub(since.elapsed()).as_secs() + 1))
            }
            (_, _) => Ok(()),
        }
    }

    /// Counts the result of a lookup.
    pub(super) fn note(&self, client: &str, fingerprint: Vec<u8>, is_good: bool) {
        let mut recent = self.recent();
        if is_good {
            if recent.good.len() >= REMEMBERED {
                recent.good.clear();
            }
            recent.good.insert(fingerprint, Instant::now());
            return;
        }
        if recent.guesses.len() >= REMEMBERED {
            recent.guesses.retain(|_, (_, since)| since.elapsed() < MINUTE);
        }
        // A table that is still full is full of guessing clients. New ones wait for the minute to
        // end.
        if recent.guesses.len() >= REMEMBERED && !recent.guesses.contains_key(client) {
            return;
        }
        let (count, since) = recent.guesses.entry(client.to_owned()).or_insert((0, Instant::now()));
        if since.elapsed() >= MINUTE {
            (*count, *since) = (0, Instant::now());
        }
        *count += 1;
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn guesses_over_the_rate_are_not_looked_up_and_what_was_good_is() {
        let (lookups, rate) = (Lookups::default(), Rate(NonZeroU32::new(3)));
        lookups.note("a", b"good".to_vec(), true);
        for _ in 0..30 {
            assert!(lookups.admit("a", b"guess", rate).is_ok());
            lookups.note("a", b"guess".to_vec(), false);
        }
        assert!(lookups.admit("a", b"guess", rate).is_err());
        assert!(lookups.admit("a", b"good", rate).is_ok(), "others behind the same address go on");
        assert!(lookups.admit("b", b"guess", rate).is_ok());
        assert!(lookups.admit("a", b"guess", Rate::ANY).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let lookups = Lookups::default();
        for number in 0..2 * REMEMBERED {
            lookups.note(&number.to_string(), number.to_string().into_bytes(), number % 2 == 0);
        }
        let recent = lookups.recent();
        assert!(recent.guesses.len() <= REMEMBERED && recent.good.len() <= REMEMBERED);
    }
}
