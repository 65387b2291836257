//! The story of a job: when it was made, each attempt with its outcome and the wait behind it, and
//! its end.

use chrono::{DateTime, TimeDelta, Utc};
use jobs::engine::{
    AttemptOutcome, JobState,
    ledger::{AttemptRow, JobRow},
};
use serde_json::Value;

use crate::{
    auth::Audience,
    console::{
        notice::Tone,
        words::{self, Look, When},
    },
};

/// A moment in the life of a job.
pub(crate) struct Moment {
    pub(crate) when: When,
    pub(crate) look: Look,
    /// The failure, or what else there is to say.
    pub(crate) words: String,
    /// The class of the failure, for those who search for it.
    pub(crate) class: String,
    /// The errors below the message, outermost first; for operators only.
    pub(crate) causes: Vec<String>,
    /// The attempt's number, length and worker.
    pub(crate) facts: String,
    /// The wait until the next moment, if it is worth a word.
    pub(crate) wait: String,
}

impl Moment {
    fn plain(time: DateTime<Utc>, now: DateTime<Utc>, look: Look, words: impl Into<String>) -> Self {
        Self {
            when: When::of(time, now),
            look,
            words: words.into(),
            class: String::new(),
            causes: Vec::new(),
            facts: String::new(),
            wait: String::new(),
        }
    }

    fn failed(self, error: Option<&Value>, audience: Audience) -> Self {
        let error = error.cloned().map(|error| audience.facts(error)).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = error["causes"].as_array().into_iter().flatten().map(text).collect();
        Self { words: text(&error["message"]), class: text(&error["class"]), causes, ..self }
    }
}

/// Returns the moments of a job, the first one first.
pub(super) fn of(job: &JobRow, attempts: &[AttemptRow], audience: Audience, now: DateTime<Utc>) -> Vec<Moment> {
    let mut moments = vec![(job.created_at, Moment::plain(job.created_at, now, Look::new("Made", "clock", ""), ""))];
    for attempt in attempts {
        let start = attempt.started_at.unwrap_or(attempt.ended_at);
        let mut moment = Moment::plain(start, now, outcome(attempt.outcome), "");
        moment = moment.failed(attempt.error.as_ref(), audience);
        moment.facts = facts(attempt, audience);
        moments.push((start, moment));
    }
    if let Some(last) = last(job, audience, now) {
        moments.push(last);
    }
    add_waits(&mut moments, attempts);
    moments.into_iter().map(|(_, moment)| moment).collect()
}

fn outcome(outcome: AttemptOutcome) -> Look {
    match outcome {
        AttemptOutcome::Retry => Look::of_tone(Tone::Bad, "Failed"),
        AttemptOutcome::Fail => Look::of_tone(Tone::Bad, "Failed for good"),
        AttemptOutcome::Lost => Look::of_tone(Tone::Bad, "The worker died"),
        AttemptOutcome::Later => Look::new("Put off", "clock", ""),
        AttemptOutcome::Park => Look::new("Put on hold", "hold", "warn"),
        AttemptOutcome::Reconcile => Look::new("Looked for its call", "again", "info"),
        AttemptOutcome::Returned => Look::new("Handed back", "off", ""),
    }
}

fn facts(attempt: &AttemptRow, audience: Audience) -> String {
    let mut facts = vec![format!("Attempt {}", attempt.attempt)];
    if let Some(start) = attempt.started_at {
        facts.push(format!("ran {}", words::duration(attempt.ended_at - start)));
    }
    if attempt.looks > 0 {
        facts.push(format!("looked {}", words::count(i64::from(attempt.looks), "time", "times")));
    }
    if let (Some(worker), Audience::Operators) = (attempt.worker_id, audience) {
        facts.push(format!("worker {worker}"));
    }
    facts.join(" \u{b7} ")
}

/// Returns the moment that is now, or the end.
fn last(job: &JobRow, audience: Audience, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Moment)> {
    let time = match job.state {
        JobState::Executing => job.started_at?,
        JobState::Completed | JobState::Cancelled | JobState::Discarded => job.ended_at?,
        JobState::Scheduled | JobState::Available | JobState::Retryable | JobState::Suspended => return None,
    };
    let mut moment = Moment::plain(time, now, words::state(job.state), "");
    let mut facts = Vec::new();
    if matches!(job.state, JobState::Executing | JobState::Completed) {
        facts.push(format!("Attempt {}", job.attempt));
    }
    if let (JobState::Completed, Some(start), Some(end)) = (job.state, job.started_at, job.ended_at) {
        facts.push(format!("ran {}", words::duration(end - start)));
    }
    if let (Some(worker), Audience::Operators, true) = (job.worker_id, audience, !facts.is_empty()) {
        facts.push(format!("worker {worker}"));
    }
    moment.facts = facts.join(" \u{b7} ");
    Some((time, moment))
}

/// Says how long the job waited between two attempts.
fn add_waits(moments: &mut [(DateTime<Utc>, Moment)], attempts: &[AttemptRow]) {
    let starts: Vec<DateTime<Utc>> = moments.iter().map(|(time, _)| *time).collect();
    for (place, attempt) in attempts.iter().enumerate() {
        // Before the attempts stands the moment at which the job was made.
        let Some(next) = starts.get(place + 2) else { continue };
        let wait = *next - attempt.ended_at;
        if wait >= TimeDelta::seconds(1) {
            moments[place + 1].1.wait = format!("Then it waited {}", words::duration(wait));
        }
    }
}
