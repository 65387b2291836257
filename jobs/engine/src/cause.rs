//! Why something failed: a class for programs, a sentence for people, a chain for operators.

mod class;

use std::error::Error as StdError;

use serde::Serialize;
use serde_json::Value;

pub use self::class::CauseClass;

/// The longest message or cause that is kept.
const MAX_CHARS: usize = 1000;

/// A failure as the ledger shows it. Never contains a secret: clients redact before they build one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Cause {
    /// What sort of failure it was.
    pub class: CauseClass,
    /// What happened and what to do, for the person who reads the job.
    pub message: String,
    #[source]
    source: Option<anyhow::Error>,
}

impl Cause {
    /// A failure with its source.
    pub fn new(class: CauseClass, message: impl Into<String>, source: impl Into<anyhow::Error>) -> Self {
        Self { class, message: message.into(), source: Some(source.into()) }
    }

    /// A failure that no other error explains.
    pub fn plain(class: CauseClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), source: None }
    }

    /// The whole chain below the message, outermost first.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = next {
            causes.push(error.to_string());
            next = error.source();
        }
        causes
    }

    /// As stored: `{"class": "rate", "message": "...", "causes": ["...", "..."]}`.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let causes = self.chain().iter().map(|cause| storable(cause)).collect();
        Facts { class: self.class, message: storable(&self.message), causes }
    }
}

/// What jsonb takes (no NUL), and no more than a reader takes: providers' bodies come along in errors.
pub(super) fn storable(words: &str) -> String {
    words.chars().filter(|&c| c != '\0').take(MAX_CHARS).collect()
}

/// A failure as stored in `jobs.error` and `job_attempts.error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// See [`Cause::class`].
    pub class: CauseClass,
    /// See [`Cause::message`].
    pub message: String,
    /// See [`Cause::chain`].
    pub causes: Vec<String>,
}

impl Facts {
    /// As a JSON value for the database.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::json!({ "class": self.class, "message": self.message, "causes": self.causes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_has_no_nul_and_an_end() {
        let cause = Cause::new(CauseClass::Internal, "a\0b", anyhow::anyhow!("y".repeat(5000)));
        let facts = cause.facts();
        assert_eq!((facts.message.as_str(), facts.causes[0].len()), ("ab", MAX_CHARS));
    }

    #[test]
    fn the_chain_names_every_layer_once() {
        let io = std::io::Error::other("disk on fire");
        let source = anyhow::Error::new(io).context("could not store the picture");
        let cause = Cause::new(CauseClass::Internal, "The picture was not kept.", source);
        assert_eq!(cause.chain(), ["could not store the picture", "disk on fire"]);
    }
}
