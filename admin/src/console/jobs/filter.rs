//! The filter of the job board, as the board's address has it.

use chrono::{DateTime, NaiveDateTime, Utc};
use jobs::{
    engine::{JobState, ledger::JobFilter},
    ids::{JobId, TenantId},
    kinds, queues,
};
use serde_json::json;
use url::form_urlencoded;
use uuid::Uuid;

use crate::{ApiError, console::words, error::ErrorCode};

/// The parameters, in the order of an address.
const NAMES: [&str; 11] =
    ["q", "state", "not_state", "kind", "not_kind", "queue", "not_queue", "since", "until", "account", "parent"];

/// The longest text to search for.
const MAX_TEXT: usize = 200;

/// A filter of jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    values: Vec<(&'static str, String)>,
    pub(super) jobs: JobFilter,
}

impl Filter {
    /// Reads the filter of an address. Empty fields of its form match everything.
    pub(super) fn read(query: &str, workspace: Option<TenantId>) -> Result<Self, ApiError> {
        let values: Vec<(&'static str, String)> = form_urlencoded::parse(query.as_bytes())
            .filter_map(|(name, value)| {
                let name = NAMES.into_iter().find(|known| *known == name)?;
                (!value.trim().is_empty()).then(|| (name, value.trim().to_owned()))
            })
            .collect();
        let mut filter = Self { values, jobs: JobFilter { tenant_id: workspace, ..JobFilter::default() } };
        filter.jobs = filter.checked()?;
        Ok(filter)
    }

    fn checked(&self) -> Result<JobFilter, ApiError> {
        let text = |name| self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let state = |name| text(name).map(|value| named_state(name, &value)).transpose();
        let (since, until) = (time("since", text("since"))?, time("until", text("until"))?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(unfit("since", "before \"until\""));
        }
        let q = text("q");
        if q.as_ref().is_some_and(|q| q.contains('\0') || q.chars().count() > MAX_TEXT) {
            return Err(unfit("q", "a text of 200 characters at most"));
        }
        Ok(JobFilter {
            state: state("state")?,
            not_states: state("not_state")?.into_iter().collect(),
            not_kinds: text("not_kind").into_iter().collect(),
            not_queues: text("not_queue").into_iter().collect(),
            kind: text("kind"),
            queue: text("queue"),
            parent_id: id("parent", text("parent"))?.map(JobId),
            account_id: id("account", text("account"))?,
            text: q,
            since,
            until,
            ..self.jobs.clone()
        })
    }

    /// Returns the value of a parameter, for its field.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Returns true if every job matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns true if there are conditions beside the state and the text.
    pub(crate) fn is_long(&self) -> bool {
        self.values.iter().any(|(name, _)| !["q", "state"].contains(name))
    }

    /// Returns an address with this filter.
    pub(super) fn address(&self, path: &str) -> String {
        self.address_with(path, "", "")
    }

    /// Returns an address with this filter and another value of one parameter. An empty value takes
    /// the parameter away.
    pub(super) fn address_with(&self, path: &str, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (known, kept) in self.values.iter().filter(|(known, _)| *known != name) {
            query.append_pair(known, kept);
        }
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// Returns the address of the board's stream for this filter; `None` if the API refuses a text
    /// so short.
    pub(super) fn stream(&self) -> Option<String> {
        let jobs = &self.jobs;
        if jobs.text.as_ref().is_some_and(|text| text.chars().count() < 2) {
            return None;
        }
        let names = |states: &[JobState]| states.iter().map(|state| state.name()).collect::<Vec<_>>();
        let filter = json!({
            "tenant_id": jobs.tenant_id,
            "state": jobs.state.map(JobState::name),
            "not_state": names(&jobs.not_states),
            "kind": jobs.kind,
            "not_kind": jobs.not_kinds,
            "queue": jobs.queue,
            "not_queue": jobs.not_queues,
            "parent_id": jobs.parent_id,
            "account_id": jobs.account_id,
            "q": jobs.text,
            "since": jobs.since,
            "until": jobs.until,
        });
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("filter", &filter.to_string()).finish();
        Some(format!("/api/v1/board/events?{query}"))
    }

    /// Returns the conditions in words.
    pub(super) fn words(&self) -> Vec<String> {
        let quoted = |state| format!("\u{201c}{}\u{201d}", words::state(state).word);
        let condition = |(name, value): &(&'static str, String)| match *name {
            "q" => format!("with the words \u{201c}{value}\u{201d}"),
            "state" => self.jobs.state.map_or_else(String::new, |state| format!("in the state {}", quoted(state))),
            "not_state" => self
                .jobs
                .not_states
                .first()
                .map_or_else(String::new, |&state| format!("not in the state {}", quoted(state))),
            "kind" => format!("of the kind \u{201c}{}\u{201d}", words::of_name(value)),
            "not_kind" => format!("not of the kind \u{201c}{}\u{201d}", words::of_name(value)),
            "queue" => format!("of the queue {value}"),
            "not_queue" => format!("not of the queue {value}"),
            "since" => self.jobs.since.map_or_else(String::new, |time| format!("made since {}", words::exact(time))),
            "until" => self.jobs.until.map_or_else(String::new, |time| format!("made before {}", words::exact(time))),
            "account" => format!("on the account {value}"),
            "parent" => format!("started by the job {value}"),
            _ => String::new(),
        };
        self.values.iter().map(condition).filter(|words| !words.is_empty()).collect()
    }
}

/// Returns the choices of the field for kinds: the value and the words.
pub(super) fn kind_choices() -> Vec<(String, String)> {
    let mut choices: Vec<_> =
        kinds::KINDS.iter().map(|kind| (kind.name.to_owned(), words::of_name(kind.name))).collect();
    choices.sort();
    choices
}

/// Returns the choices of the field for states.
pub(super) fn state_choices() -> Vec<(String, String)> {
    JobState::ALL.iter().map(|state| (state.name().to_owned(), words::state(*state).word.to_owned())).collect()
}

/// Returns the choices of the field for queues.
pub(super) fn queue_choices() -> Vec<(String, String)> {
    queues::ALL.iter().map(|queue| (queue.name().to_owned(), words::of_name(queue.name()))).collect()
}

fn named_state(field: &str, name: &str) -> Result<JobState, ApiError> {
    JobState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| unfit(field, "one of the list"))
}

fn unfit(name: &str, rule: &str) -> ApiError {
    ApiError::bad_request(ErrorCode::Malformed, format!("The filter \"{name}\" should be {rule}."))
}

/// Reads a time as a field for times sends it, or as the API has it.
fn time(name: &str, value: Option<String>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = local.into_iter().find_map(|form| NaiveDateTime::parse_from_str(&value, form).ok());
    let time = local.map(|time| time.and_utc()).or_else(|| value.parse().ok());
    time.map(Some).ok_or_else(|| unfit(name, "a time such as 2026-11-27T01:30"))
}

fn id(name: &str, value: Option<String>) -> Result<Option<Uuid>, ApiError> {
    value.map(|value| value.parse().map_err(|_| unfit(name, "an id"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_filter() {
        let filter = Filter::read("q=a+b&state=discarded&kind=&nonsense=1&until=2026-11-27T01%3A30", None).unwrap();
        assert_eq!((filter.value("q"), filter.jobs.state), ("a b", Some(JobState::Discarded)));
        assert_eq!(filter.jobs.until.unwrap().to_rfc3339(), "2026-11-27T01:30:00+00:00");
        assert_eq!(filter.address("/jobs"), "/jobs?q=a+b&state=discarded&until=2026-11-27T01%3A30");
        assert_eq!(filter.address_with("/jobs", "state", ""), "/jobs?q=a+b&until=2026-11-27T01%3A30");
        assert!(!filter.is_empty() && Filter::read("state=&workspace=x", None).unwrap().is_empty());
        assert_eq!(Filter::default().address("/jobs"), "/jobs");
        assert_eq!(filter.words().len(), 3);
        let without = Filter::read("not_state=completed&not_kind=noop", None).unwrap();
        assert_eq!(without.jobs.not_states, [JobState::Completed]);
        assert_eq!(without.words(), ["not in the state \u{201c}Done\u{201d}", "not of the kind \u{201c}Noop\u{201d}"]);
    }

    #[test]
    fn a_filter_that_cannot_be_is_said_to_be_so() {
        let long = format!("q={}", "x".repeat(201));
        for wrong in [
            "state=nope",
            "since=yesterday",
            "parent=1",
            "q=%00",
            &long,
            "since=2026-01-02T00:00&until=2026-01-01T00:00",
        ] {
            assert!(Filter::read(wrong, None).is_err(), "{wrong}");
        }
    }
}
