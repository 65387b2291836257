//! A run of connecting as a page shows it.

use jobs::{
    connections::{Attempt, AttemptState},
    providers::{Provider, StoredProvider},
};
use uuid::Uuid;

use super::{of_left_out, told};
use crate::{ApiError, console::Tone};

/// A run of connecting. `parts/connecting.html` shows it.
pub(crate) struct Shown {
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) words: String,
    /// True while a job works on it.
    pub(crate) is_going_on: bool,
    /// The failure of the last attempt, which is tried again.
    pub(crate) failure: Option<String>,
    pub(crate) accounts: Vec<ShownAccount>,
    pub(crate) left_out: Vec<(String, String)>,
    /// The purposes of the permissions that were declined.
    pub(crate) declined: Vec<String>,
    /// True if another person connected the accounts before.
    pub(crate) is_other_person: bool,
    /// The account that was to be connected again and is not there.
    pub(crate) not_there: Option<String>,
    pub(crate) choices: Vec<ShownChoice>,
    /// The reason for which the last choice was not accepted.
    pub(crate) refused: Option<String>,
    pub(crate) label: &'static str,
    pub(crate) noun: &'static str,
}

/// An account that is connected.
pub(crate) struct ShownAccount {
    pub(crate) name: String,
    pub(crate) network: String,
}

/// An account that can be chosen.
pub(crate) struct ShownChoice {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) network: String,
    /// True if it is connected already. It is ticked then.
    pub(crate) is_connected: bool,
}

/// The reader of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Somebody of the workspace.
    Member,
    /// Somebody without an account here, who sees nothing of the workspace.
    Visitor,
}

impl Shown {
    /// Returns a run for a reader.
    pub(crate) fn of(attempt: &Attempt, declined: Vec<String>, reader: Reader) -> Result<Self, ApiError> {
        let provider = attempt.provider.known()?;
        let told = told(provider, &attempt.state, &attempt.report);
        let report = &attempt.report;
        let left_out = report.left_out.iter().map(|one| (one.name.clone(), of_left_out(provider, one.reason)));
        let is_member = reader == Reader::Member;
        Ok(Self {
            tone: tone(&attempt.state, report.missing.is_empty()),
            title: told.title,
            words: told.words,
            is_going_on: matches!(attempt.state, AttemptState::Exchanging),
            failure: None,
            accounts: match &attempt.state {
                AttemptState::Connected(rows) => rows
                    .iter()
                    .map(|row| ShownAccount { name: row.name.clone(), network: network(&row.platform) })
                    .collect(),
                AttemptState::Waiting
                | AttemptState::Opened
                | AttemptState::Exchanging
                | AttemptState::Choosing(_)
                | AttemptState::Failed(_) => Vec::new(),
            },
            left_out: left_out.collect(),
            declined,
            is_other_person: is_member && report.is_other_person,
            not_there: report.not_there.clone().filter(|_| is_member),
            choices: match &attempt.state {
                AttemptState::Choosing(found) => found
                    .iter()
                    .map(|row| ShownChoice {
                        id: row.id,
                        name: row.name.clone(),
                        network: network(&row.platform),
                        is_connected: is_member && row.is_connected,
                    })
                    .collect(),
                AttemptState::Waiting
                | AttemptState::Opened
                | AttemptState::Exchanging
                | AttemptState::Connected(_)
                | AttemptState::Failed(_) => Vec::new(),
            },
            refused: None,
            label: provider.label(),
            noun: provider.account_noun(),
        })
    }
}

fn tone(state: &AttemptState, may_publish: bool) -> Tone {
    match state {
        AttemptState::Connected(_) if may_publish => Tone::Ok,
        AttemptState::Connected(_) => Tone::Warn,
        AttemptState::Failed(_) => Tone::Bad,
        AttemptState::Waiting | AttemptState::Opened | AttemptState::Exchanging | AttemptState::Choosing(_) => {
            Tone::Info
        }
    }
}

/// Returns an account's network in words: "Facebook Page".
fn network(platform: &StoredProvider) -> String {
    platform.known().map_or_else(
        |_| platform.0.clone(),
        |provider: Provider| format!("{} {}", provider.label(), provider.account_noun()),
    )
}
