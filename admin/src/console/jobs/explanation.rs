//! The present state of a job in a sentence or two: the first thing that its page says.

use chrono::{DateTime, Utc};
use jobs::{
    engine::{
        EffectState, Job as _, JobState,
        ledger::{EffectRow, JobRow},
    },
    operations::{ActOnJobs, Tally},
};

use super::{action, row::hold};
use crate::console::{
    notice::Tone,
    words::{self, Look, When},
};

/// The reason why a job is where it is, and what to do.
pub(crate) struct Explanation {
    pub(crate) look: Look,
    pub(crate) title: String,
    pub(crate) words: String,
}

impl Explanation {
    pub(super) fn of(job: &JobRow, effects: &[EffectRow], now: DateTime<Utc>) -> Self {
        let message = job.error.as_ref().and_then(|error| error["message"].as_str()).unwrap_or_default();
        let when = |time: Option<DateTime<Utc>>| time.map_or_else(String::new, |time| When::of(time, now).words);
        let (title, words) = match job.state {
            JobState::Scheduled => (format!("It starts {}", when(job.run_at)), String::new()),
            JobState::Available => ("It is due".to_owned(), "It starts as soon as a worker has room.".to_owned()),
            JobState::Executing => (format!("It runs since {}", since(job, now)), running(job).to_owned()),
            JobState::Retryable => (format!("It failed, and tries again {}", when(job.run_at)), message.to_owned()),
            JobState::Suspended => on_hold(job, effects, message),
            JobState::Completed => (format!("It is done since {}", since(job, now)), done(job)),
            JobState::Cancelled => ("Somebody cancelled it".to_owned(), "Retry brings it back.".to_owned()),
            JobState::Discarded => ("It failed, and is not tried again".to_owned(), message.to_owned()),
        };
        Self { look: words::state(job.state), title, words }
    }
}

fn since(job: &JobRow, now: DateTime<Utc>) -> String {
    let time = if job.state == JobState::Executing { job.started_at } else { job.ended_at };
    words::duration(now - time.unwrap_or(now))
}

fn running(job: &JobRow) -> &'static str {
    if job.cancel_requested_at.is_some() { "It was asked to stop, and does so when it can." } else { "" }
}

/// Returns what an action on many jobs did. Other jobs say what they did by their result.
fn done(job: &JobRow) -> String {
    let result = job.result.clone().filter(|_| job.kind == ActOnJobs::KIND);
    let tally: Option<Tally> = result.and_then(|result| serde_json::from_value(result).ok());
    tally.map_or_else(String::new, |tally| action::told(&tally))
}

fn on_hold(job: &JobRow, effects: &[EffectRow], message: &str) -> (String, String) {
    let reason = job.suspended_on.as_deref().unwrap_or_default();
    if effects.iter().any(|effect| effect.state == EffectState::Unknown) {
        let words = "Its call was sent, and the answer got lost. Look at the provider whether it is there, then say so \
                     below. Nothing is sent twice until you do.";
        return ("Nobody knows whether its call arrived".to_owned(), words.to_owned());
    }
    if reason == "children" {
        let jobs = words::count(i64::from(job.pending), "job that it started", "jobs that it started");
        return (format!("It waits for {jobs}"), String::new());
    }
    (hold(reason).trim_end_matches('.').to_owned(), message.to_owned())
}

/// The state of a call in words.
pub(super) fn of_effect(state: EffectState) -> Look {
    match state {
        EffectState::Intended => Look::of_tone(Tone::Info, "Not sent"),
        EffectState::Sent => Look::of_tone(Tone::Warn, "Sent, not confirmed"),
        EffectState::Confirmed => Look::of_tone(Tone::Ok, "Happened"),
        EffectState::Failed => Look::of_tone(Tone::Bad, "Did not happen"),
        EffectState::Unknown => Look::of_tone(Tone::Bad, "Unknown"),
    }
}
