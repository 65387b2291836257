//! Causes of failures: a class for programs, a sentence for people, a chain of errors for
//! operators.

mod class;

use std::error::Error as StdError;

use serde::Serialize;
use serde_json::Value;

pub use self::class::CauseClass;

/// The most characters of a message or a cause that are stored.
const MAX_CHARS: usize = 1000;

/// A failure as the ledger shows it. It never contains a secret: clients redact errors before they
/// make one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Cause {
    /// The class of the failure.
    pub class: CauseClass,
    /// A sentence for the person who reads the job: the failure, and the remedy.
    pub message: String,
    #[source]
    source: Option<anyhow::Error>,
}

impl Cause {
    /// Makes a cause with its source.
    pub fn new(class: CauseClass, message: impl Into<String>, source: impl Into<anyhow::Error>) -> Self {
        Self { class, message: message.into(), source: Some(source.into()) }
    }

    /// Makes a cause without a source.
    pub fn plain(class: CauseClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), source: None }
    }

    /// Returns the chain of sources below the message, outermost first.
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

    /// Returns the facts to store: `{"class": "rate", "message": "...", "causes": ["...", "..."]}`.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let causes = self.chain().iter().map(|cause| storable(cause)).collect();
        Facts { class: self.class, message: storable(&self.message), causes }
    }
}

/// Removes characters that `jsonb` refuses (NUL) and shortens the text. Errors may contain whole
/// bodies of providers.
pub(super) fn storable(words: &str) -> String {
    words.chars().filter(|&c| c != '\0').take(MAX_CHARS).collect()
}

/// A failure as stored in `jobs.error` and `job_attempts.error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The class: see [`Cause::class`].
    pub class: CauseClass,
    /// The message: see [`Cause::message`].
    pub message: String,
    /// The chain of sources: see [`Cause::chain`].
    pub causes: Vec<String>,
}

impl Facts {
    /// Returns a JSON value for the database.
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
