//! The form of a queue's limits.

use jobs::engine::queues::{LimitChanges, QueueRow};
use serde::Deserialize;

use crate::{
    api::MAX_LIMIT,
    console::{parts::Field, words},
};

/// Limits as a form sends them. An empty text is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Limits {
    max_running: String,
    max_per_tenant: String,
    max_per_account: String,
    max_per_minute: String,
    rest_seconds: String,
}

impl Limits {
    pub(super) fn of(row: &QueueRow) -> Self {
        let text = |limit: Option<i32>| limit.map_or_else(String::new, |limit| limit.to_string());
        Self {
            max_running: text(row.max_running),
            max_per_tenant: text(row.max_per_tenant),
            max_per_account: text(row.max_per_account),
            max_per_minute: text(row.max_per_minute),
            rest_seconds: text(row.rest_seconds),
        }
    }

    fn values(&self) -> [(&'static str, &'static str, &str); 5] {
        [
            ("max_running", "Running at once", &self.max_running),
            ("max_per_tenant", "Of one workspace", &self.max_per_tenant),
            ("max_per_account", "On one account", &self.max_per_account),
            ("max_per_minute", "Starts a minute on one account", &self.max_per_minute),
            ("rest_seconds", "Seconds of rest between two", &self.rest_seconds),
        ]
    }

    /// Tells whether somebody else changed the limits since the form was shown.
    pub(super) fn version(&self) -> String {
        self.values().map(|(_, _, value)| value).join("-")
    }

    /// Returns the fields, with what is wrong with them. A page has the forms of several queues.
    pub(super) fn fields(&self, queue: &str) -> Vec<Field> {
        let field = |(name, label, value): (&'static str, &'static str, &str)| Field {
            kind: "number",
            id: format!("{queue}-{name}"),
            error: number(value).err(),
            ..Field::text(name, label, value)
        };
        self.values().map(field).into()
    }

    pub(super) fn words(&self) -> String {
        let set = self.values().into_iter().filter(|(_, _, value)| !value.is_empty());
        let set: Vec<String> = set.map(|(_, label, value)| format!("{}: {value}", label.to_lowercase())).collect();
        if set.is_empty() { "no limits".to_owned() } else { set.join(", ") }
    }

    /// Returns the changes to make; `None` if a value cannot be.
    pub(super) fn changes(&self) -> Option<LimitChanges> {
        Some(LimitChanges {
            max_running: Some(number(&self.max_running).ok()?),
            max_per_tenant: Some(number(&self.max_per_tenant).ok()?),
            max_per_account: Some(number(&self.max_per_account).ok()?),
            max_per_minute: Some(number(&self.max_per_minute).ok()?),
            rest_seconds: Some(number(&self.rest_seconds).ok()?),
        })
    }
}

/// Reads a limit; an empty text is none.
fn number(value: &str) -> Result<Option<i32>, String> {
    if value.trim().is_empty() {
        return Ok(None);
    }
    let number = value.trim().parse().ok().filter(|number| (1..=MAX_LIMIT).contains(number));
    number.map(Some).ok_or_else(|| format!("Enter 1 to {}, or nothing for no limit.", words::number(MAX_LIMIT.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        for (value, limit) in [("", None), (" ", None), ("7", Some(7)), (" 100000 ", Some(100_000))] {
            assert_eq!(number(value), Ok(limit));
        }
        for wrong in ["0", "-1", "100001", "x", "1.5"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
