//! Calls of providers that brought nothing that can be used, and what jobs decide then.

use std::{error::Error as StdError, fmt, time::Duration};

use super::Provider;
use crate::{
    engine::{Cause, CauseClass, JobError, Parked, SendError},
    ids::AccountId,
};

/// The wait where a provider names none.
const DEFAULT_WAIT: Duration = Duration::from_mins(10);

/// How long a job waits that a provider wants to slow down, at least.
const POLICY_WAIT: Duration = Duration::from_hours(3);

/// What kind of refusal it is. Each provider says of its own codes which one they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Passes by itself.
    Transient,
    /// Too many calls: wait.
    Rate,
    /// The connection needs its user again.
    Reauth,
    /// The user lacks, or did not give us, the right.
    Permission,
    /// The content is refused.
    Permanent,
    /// The same was posted just before.
    Duplicate,
    /// The provider wants us to slow down.
    Policy,
    /// Our own app is set up wrongly.
    Config,
    /// The login has to be started anew.
    Restart,
    /// A code that is in no table: what came of the call is open.
    Unknown,
}

impl Class {
    /// The class of the failures that it makes.
    fn cause(self) -> CauseClass {
        match self {
            Self::Transient => CauseClass::Transient,
            Self::Rate => CauseClass::Rate,
            Self::Reauth => CauseClass::Reauth,
            Self::Permission => CauseClass::Permission,
            Self::Permanent => CauseClass::Permanent,
            Self::Duplicate => CauseClass::Duplicate,
            Self::Policy => CauseClass::Policy,
            Self::Config => CauseClass::Config,
            Self::Restart => CauseClass::RestartLogin,
            Self::Unknown => CauseClass::Unknown,
        }
    }

    /// What the class says to people.
    fn words(self, provider: Provider) -> String {
        let (label, noun) = (provider.label(), provider.account_noun());
        match self {
            Self::Transient => format!("{label} had a hiccup."),
            Self::Unknown => format!("{label} answered an error that we do not know."),
            Self::Rate => format!("{label} asks us to wait: too many calls."),
            Self::Reauth => format!("{label} no longer accepts the connection: connect the {noun} again."),
            Self::Permission => {
                format!("{label} misses a permission: connect the {noun} again and grant everything asked for.")
            }
            Self::Permanent => format!("{label} refuses the content: change the text or the picture."),
            Self::Duplicate => format!("{label} says that the same was posted just before."),
            Self::Policy => format!("{label} asks us to slow down."),
            Self::Config => format!("Our {label} app is set up wrongly; an operator has to look."),
            Self::Restart => format!("The {label} login cannot be used any more: connect the {noun} again."),
        }
    }
}

/// What an error says about the write that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWrite {
    /// Refused before anything was written: it did not happen.
    Refused,
    /// It may have happened: it has to be read back.
    ReadBack,
}

/// What went wrong in a call. Contains no token and no code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection: nothing left this machine.
    #[error("could not connect")]
    Unreachable(#[source] reqwest::Error),
    /// The request left, no whole answer came.
    #[error("no answer")]
    NoAnswer(#[source] reqwest::Error),
    /// All calls together took longer than anybody waits.
    #[error("too slow")]
    Slow,
    /// An answer that the provider does not document, such as a proxy's.
    #[error("an unexpected response: status {status}")]
    UnexpectedResponse {
        /// The HTTP status.
        status: u16,
        /// How long it asks us to wait.
        wait: Option<Duration>,
    },
    /// A list whose end could not be found.
    #[error("a list has no end, or goes on elsewhere")]
    Endless,
    /// The provider refused.
    #[error("refused: {message}")]
    Refused {
        /// What that means.
        class: Class,
        /// What it means for a write.
        on_write: OnWrite,
        /// The provider's words and codes, without what could be a secret.
        message: String,
        /// How long it asks us to wait.
        wait: Option<Duration>,
    },
}

impl Failure {
    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        // The URL is left out: it may carry a proof.
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// An answer that is not what was asked for.
    pub(super) fn unexpected() -> Self {
        Self::UnexpectedResponse { status: 200, wait: None }
    }
}

/// A call of a provider that brought nothing that can be used.
#[derive(Debug)]
pub struct ProviderError {
    /// Whose.
    pub provider: Provider,
    /// The account it was called for, if it was for one.
    pub account_id: Option<AccountId>,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider.label(), self.failure)
    }
}

impl StdError for ProviderError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.failure.source()
    }
}

impl ProviderError {
    /// What kind of refusal it is; what is none passes by itself.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.failure {
            Failure::Unreachable(_)
            | Failure::NoAnswer(_)
            | Failure::Slow
            | Failure::UnexpectedResponse { .. }
            | Failure::Endless => Class::Transient,
            Failure::Refused { class, .. } => *class,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match &self.failure {
            Failure::UnexpectedResponse { wait, .. } | Failure::Refused { wait, .. } => *wait,
            Failure::Unreachable(_) | Failure::NoAnswer(_) | Failure::Slow | Failure::Endless => None,
        }
    }

    fn words(&self) -> String {
        let label = self.provider.label();
        match &self.failure {
            Failure::Unreachable(_) | Failure::NoAnswer(_) | Failure::Slow | Failure::UnexpectedResponse { .. } => {
                format!("{label} did not answer.")
            }
            Failure::Endless => format!("{label}'s list has no end."),
            Failure::Refused { class, .. } => class.words(self.provider),
        }
    }

    fn into_cause(self) -> Cause {
        Cause::new(self.class().cause(), self.words(), self)
    }
}

impl From<ProviderError> for JobError {
    fn from(error: ProviderError) -> Self {
        if !matches!(error.failure, Failure::Refused { .. }) {
            return Self::Retry(error.into_cause());
        }
        let (wait, account_id) = (error.wait(), error.account_id);
        let rest = wait.unwrap_or(DEFAULT_WAIT);
        match (error.class(), account_id) {
            (Class::Transient | Class::Config | Class::Duplicate | Class::Unknown, _) => {
                Self::Retry(error.into_cause())
            }
            // The limit is the account's: its other jobs would only run into it.
            (Class::Rate, Some(id)) => Self::Park(Parked::Account(id), Some(rest), error.into_cause()),
            (Class::Rate, None) => Self::Later(rest, error.into_cause()),
            (Class::Policy, _) => Self::Later(wait.unwrap_or_default().max(POLICY_WAIT), error.into_cause()),
            (Class::Reauth | Class::Permission, Some(id)) => Self::Park(Parked::Account(id), None, error.into_cause()),
            (Class::Reauth | Class::Permission, None) | (Class::Permanent | Class::Restart, _) => {
                Self::Fail(error.into_cause())
            }
        }
    }
}

impl From<ProviderError> for SendError {
    /// Whether a write is known not to have happened: the provider's table says that of each refusal. An answer that is none, or
    /// is not the provider's, leaves it open.
    fn from(error: ProviderError) -> Self {
        let on_write = match &error.failure {
            Failure::Unreachable(_) => OnWrite::Refused,
            Failure::NoAnswer(_) | Failure::Slow | Failure::UnexpectedResponse { .. } | Failure::Endless => {
                OnWrite::ReadBack
            }
            Failure::Refused { on_write, .. } => *on_write,
        };
        match on_write {
            OnWrite::Refused => Self::Refused(error.into()),
            OnWrite::ReadBack => Self::Unclear(error.into_cause()),
        }
    }
}

/// A read that went wrong. It says nothing about what the account shows, and nothing about the content of a post.
#[derive(Debug, thiserror::Error)]
#[error("could not read the account")]
pub struct ReadError(#[from] pub(super) ProviderError);

impl From<ReadError> for JobError {
    /// A limit and a dead connection hold up the account's other jobs too; after every other error it is read again.
    fn from(ReadError(error): ReadError) -> Self {
        let words = format!("The {} could not be read: {}", error.provider.account_noun(), error.words());
        let (class, wait, account_id) = (error.class(), error.wait(), error.account_id);
        let is_refused = matches!(error.failure, Failure::Refused { .. });
        let cause = Cause::new(class.cause(), words, error);
        match (class, account_id, wait) {
            (_, _, Some(wait)) if !is_refused => Self::Later(wait, cause),
            (_, _, None) if !is_refused => Self::Retry(cause),
            (Class::Rate, Some(id), _) => Self::Park(Parked::Account(id), Some(wait.unwrap_or(DEFAULT_WAIT)), cause),
            (Class::Reauth, Some(id), _) => Self::Park(Parked::Account(id), None, cause),
            (
                Class::Transient
                | Class::Rate
                | Class::Reauth
                | Class::Permission
                | Class::Permanent
                | Class::Duplicate
                | Class::Policy
                | Class::Config
                | Class::Restart
                | Class::Unknown,
                _,
                _,
            ) => Self::Retry(cause),
        }
    }
}
