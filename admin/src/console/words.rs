//! Plain words for what the ledger stores as names, times and numbers.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use jobs::{connections::store::AccountStatus, engine::JobState, posts::DeliveryState};

use super::notice::Tone;

/// A state in words, with its shape and its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) word: &'static str,
    pub(crate) icon: &'static str,
    /// A class of the stylesheet, or nothing.
    pub(crate) colour: &'static str,
}

impl Look {
    pub(super) const fn new(word: &'static str, icon: &'static str, colour: &'static str) -> Self {
        Self { word, icon, colour }
    }

    pub(super) fn of_tone(tone: Tone, word: &'static str) -> Self {
        Self { word, icon: tone.name(), colour: tone.name() }
    }
}

/// Returns the look of a job's state.
pub(super) fn state(state: JobState) -> Look {
    match state {
        JobState::Scheduled => Look::new("Scheduled", "clock", ""),
        JobState::Available => Look::new("Due", "due", "info"),
        JobState::Executing => Look::new("Running", "run", "info"),
        JobState::Retryable => Look::new("Will retry", "again", "warn"),
        JobState::Suspended => Look::new("On hold", "hold", "warn"),
        JobState::Completed => Look::new("Done", "ok", "ok"),
        JobState::Cancelled => Look::new("Cancelled", "off", ""),
        JobState::Discarded => Look::new("Failed", "bad", "bad"),
    }
}

/// Returns the look of what becomes of a post on an account.
pub(super) fn delivery(state: DeliveryState) -> Look {
    match state {
        DeliveryState::Scheduled => Look::new("Scheduled", "clock", ""),
        DeliveryState::Submitting => Look::new("Being published", "run", "info"),
        DeliveryState::Published => Look::new("Published", "ok", "ok"),
        DeliveryState::Failed => Look::new("Failed", "bad", "bad"),
        DeliveryState::Unknown => Look::new("Nobody knows", "hold", "warn"),
        DeliveryState::Cancelled => Look::new("Cancelled", "off", ""),
        DeliveryState::Missed => Look::new("Missed", "bad", "bad"),
    }
}

/// Returns the look of a connected account's status.
pub(super) fn account_status(status: AccountStatus) -> Look {
    match status {
        AccountStatus::Active => Look::of_tone(Tone::Ok, "Connected"),
        AccountStatus::NeedsReauth => Look::of_tone(Tone::Bad, "To be connected again"),
        AccountStatus::Disconnected => Look::new("Disconnected", "off", ""),
    }
}

/// Returns a name of the ledger as words: `publish_post` as "Publish post".
pub(crate) fn of_name(name: &str) -> String {
    let words = name.split('_').enumerate().map(|(place, word)| match word {
        "ai" => "AI".to_owned(),
        "oauth" => "OAuth".to_owned(),
        word if place == 0 => capital(word),
        word => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A time as a page shows it.
#[derive(Debug, Clone)]
pub(crate) struct When {
    /// Relative to now: "4 min ago".
    pub(crate) words: String,
    /// The exact time, for people.
    pub(crate) exact: String,
    /// The exact time, for programs.
    pub(crate) stamp: String,
}

impl When {
    pub(super) fn of(time: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            words: relative(time - now),
            exact: exact(time),
            stamp: time.to_rfc3339_opts(SecondsFormat::Millis, true),
        }
    }
}

/// Returns a time to the second.
pub(super) fn exact(time: DateTime<Utc>) -> String {
    time.format("%-d %b %Y, %H:%M:%S UTC").to_string()
}

fn relative(distance: TimeDelta) -> String {
    if distance.num_seconds() == 0 {
        return "now".to_owned();
    }
    let length = duration(distance.abs());
    if distance > TimeDelta::zero() { format!("in {length}") } else { format!("{length} ago") }
}

/// Returns a length of time in its largest unit.
pub(super) fn duration(length: TimeDelta) -> String {
    match length.num_seconds() {
        0 => format!("{} ms", length.num_milliseconds().max(0)),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds if seconds < 172_800 => "1 day".to_owned(),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Returns a number with its thousands apart.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut words = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Returns a count with its noun: "1 job", "1,204 jobs".
pub(super) fn count(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_largest_unit() {
        let table = [
            (0, "now"),
            (-1, "1 s ago"),
            (59, "in 59 s"),
            (-60, "1 min ago"),
            (3599, "in 59 min"),
            (-7200, "2 h ago"),
            (-86_400, "1 day ago"),
            (200_000, "in 2 days"),
        ];
        for (seconds, words) in table {
            assert_eq!(relative(TimeDelta::seconds(seconds)), words);
        }
        assert_eq!(duration(TimeDelta::milliseconds(42)), "42 ms");
    }

    #[test]
    fn numbers_and_names_are_readable() {
        for (value, words) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(number(value), words);
        }
        assert_eq!((count(1, "job", "jobs"), count(1000, "job", "jobs")), ("1 job".into(), "1,000 jobs".into()));
        assert_eq!((of_name("exchange_oauth_code"), of_name("ai")), ("Exchange OAuth code".into(), "AI".into()));
    }
}
