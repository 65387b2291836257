//! A key as a person enters it.

use std::ops::RangeInclusive;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    engine::EnqueueError,
    providers::{Class, NotOffered, Provider, ProviderError, ai},
};

/// The lengths of a key.
const LENGTHS: RangeInclusive<usize> = 8..=512;

/// The number of characters that are shown of a key.
const SHOWN: usize = 4;

/// The length from which these characters are shown.
const SHOWN_FROM: usize = 12;

/// A service that tenants have keys of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Service {
    Openai,
    Publer,
}

impl Service {
    /// The name that is stored and that is used in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Publer => "publer",
        }
    }

    /// The name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Openai => ai::LABEL,
            Self::Publer => Provider::Publer.label(),
        }
    }
}

/// The reasons for which a key is not stored.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It has a form that no key has.
    #[error("a key has {} to {} visible characters", LENGTHS.start(), LENGTHS.end())]
    Malformed,
    /// The service refuses it.
    #[error("{} refuses the key", .0.label())]
    Refused(Service),
    /// It may not do what is needed.
    #[error("the key lacks permissions at {}", .0.label())]
    Narrow(Service),
    /// The service did not say if the key is right.
    #[error("{} did not respond", .0.label())]
    NoAnswer(Service),
    /// It opens no workspace.
    #[error("the key opens no workspace")]
    NoWorkspace,
    /// It does not open that workspace.
    #[error("the key does not open that workspace")]
    OtherWorkspace,
    /// There is no such tenant.
    #[error("the tenant does not exist")]
    MissingTenant,
    /// The service is not offered here.
    #[error("the service is not offered")]
    NotOffered(#[from] NotOffered),
    /// The job that connects the accounts could not be enqueued.
    #[error("could not enqueue the job")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

impl KeyError {
    /// Returns the error for a check of a key that failed.
    pub(super) fn of_provider(service: Service, error: &ProviderError) -> Self {
        match error.class() {
            Class::Reauth => Self::Refused(service),
            Class::Permission => Self::Narrow(service),
            Class::Transient
            | Class::Rate
            | Class::Permanent
            | Class::Duplicate
            | Class::Policy
            | Class::Config
            | Class::Restart
            | Class::Unknown => Self::NoAnswer(service),
        }
    }
}

/// A key of a plausible form.
#[derive(Debug, Clone)]
pub struct OwnKey(SecretString);

impl OwnKey {
    /// Reads a key, without the blanks around it.
    ///
    /// # Errors
    /// Returns [`KeyError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && LENGTHS.contains(&text.len()) { Ok(Self(text.into())) } else { Err(KeyError::Malformed) }
    }

    /// The key.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// Returns its last characters, or nothing of a short one.
    pub(super) fn last_four(&self) -> &str {
        let text = self.0.expose_secret();
        if text.len() < SHOWN_FROM { "" } else { &text[text.len() - SHOWN..] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_text_and_only_its_end_is_shown() {
        let key = OwnKey::parse(" sk-proj-0123456789abcd\r\n").unwrap();
        assert_eq!((key.secret().expose_secret(), key.last_four()), ("sk-proj-0123456789abcd", "abcd"));
        assert_eq!(OwnKey::parse("sk-short").unwrap().last_four(), "");
        assert!(!format!("{key:?}").contains("0123456789"));
        for text in ["", "   ", "sk-1234", "sk-with a blank", "sk-ключ-ключ", "sk-line\nbreak", &"k".repeat(513)]
        {
            assert!(matches!(OwnKey::parse(text), Err(KeyError::Malformed)), "{text}");
        }
    }
}
