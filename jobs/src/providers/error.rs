//! Failed calls of providers, and the decisions of jobs about them.

use std::{error::Error as StdError, fmt, time::Duration};

use super::Provider;
use crate::{
    engine::{Cause, CauseClass, JobError, Parked, SendError},
    ids::AccountId,
};

/// The wait if a provider names none.
const DEFAULT_WAIT: Duration = Duration::from_mins(10);

/// The minimum wait of a job if the provider wants us to slow down.
const POLICY_WAIT: Duration = Duration::from_hours(3);

/// The class of a refusal. Each provider maps its own codes to classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The problem passes by itself.
    Transient,
    /// There were too many calls, so the job waits.
    Rate,
    /// The user has to connect again.
    Reauth,
    /// The user lacks the right, or did not grant it to us.
    Permission,
    /// The content is rejected.
    Permanent,
    /// The same content was posted just before.
    Duplicate,
    /// The provider wants us to slow down.
    Policy,
    /// Our own app is configured wrongly.
    Config,
    /// The login has to start again.
    Restart,
    /// The code is in no table, so the outcome of the call is open.
    Unknown,
}

impl Class {
    /// Returns the class of the resulting failures.
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

    /// Returns the meaning of the class in words for people.
    fn words(self, provider: Provider) -> String {
        let (label, noun) = (provider.label(), provider.account_noun());
        match self {
            Self::Transient => format!("{label} had a problem that should pass by itself."),
            Self::Unknown => format!("{label} returned an error that Linecook does not know."),
            Self::Rate => format!("{label} asks us to wait, as there were too many calls."),
            Self::Reauth if provider.takes_key() => {
                format!("{label} refuses the key, or the key does not open the workspace any more: enter another one.")
            }
            Self::Permission if provider.takes_key() => {
                format!("The key lacks a permission at {label}: make one with all permissions, and enter it.")
            }
            Self::Reauth => format!("{label} no longer accepts the connection: connect the {noun} again."),
            Self::Permission => {
                format!("A permission at {label} is missing: connect the {noun} again and grant all permissions.")
            }
            Self::Permanent => format!("{label} refuses the content: change the text or the picture."),
            Self::Duplicate => format!("{label} says that the same post was published just before."),
            Self::Policy => format!("{label} asks us to slow down."),
            Self::Config => format!("The {label} app is set up wrongly: an operator has to correct its settings."),
            Self::Restart => format!("The {label} login cannot be used any more: connect the {noun} again."),
        }
    }
}

/// The meaning of an error for the write that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWrite {
    /// The write was refused before it had an effect.
    Refused,
    /// The write may have happened, so it has to be read back.
    ReadBack,
}

/// The failure of a call. It contains no token and no code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was no connection: nothing left this machine.
    #[error("could not connect, so nothing was sent")]
    Unreachable(#[source] reqwest::Error),
    /// The request was sent, and no complete response came.
    #[error("the request was sent, and no complete response came")]
    NoAnswer(#[source] reqwest::Error),
    /// All calls together exceeded their time limit.
    #[error("the calls took too long")]
    Slow,
    /// The response is not one that the provider documents, such as a proxy's.
    #[error("a response that the provider does not document, with status {status}")]
    UnexpectedResponse {
        /// The HTTP status.
        status: u16,
        /// The time that the provider asks us to wait.
        wait: Option<Duration>,
    },
    /// The end of a list was not found.
    #[error("a list did not end, or went on at another address")]
    Endless,
    /// The provider refused.
    #[error("refused: {message}")]
    Refused {
        /// The class of the refusal.
        class: Class,
        /// Its meaning for a write.
        on_write: OnWrite,
        /// The provider's message and codes, without possible secrets.
        message: String,
        /// The time that the provider asks us to wait.
        wait: Option<Duration>,
    },
}

impl Failure {
    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        // The URL is left out, because it may contain a proof.
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::NoAnswer(error) }
    }

    /// Returns the failure for a response that does not match the request.
    pub(super) fn unexpected() -> Self {
        Self::UnexpectedResponse { status: 200, wait: None }
    }
}

/// A call of a provider without a usable response.
#[derive(Debug)]
pub struct ProviderError {
    /// The provider.
    pub provider: Provider,
    /// The account that it was called for, if any.
    pub account_id: Option<AccountId>,
    /// The failure.
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
    /// Returns the class of the refusal. Other failures pass by themselves.
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

    /// Returns a sentence for people.
    #[must_use]
    pub fn words(&self) -> String {
        let label = self.provider.label();
        match &self.failure {
            Failure::Unreachable(_) | Failure::NoAnswer(_) | Failure::Slow | Failure::UnexpectedResponse { .. } => {
                format!("{label} did not respond.")
            }
            Failure::Endless => format!("A list of {label} did not end."),
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
            // The limit is the account's, so its other jobs would only run into it.
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
    /// Decides if the write is known not to have happened. The provider's table says that for each
    /// refusal. Without a response, or with an undocumented one, it is open.
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

/// A failed read. It says nothing about the posts of the account, and nothing about the content of
/// a post.
#[derive(Debug, thiserror::Error)]
#[error("could not read the account")]
pub struct ReadError(#[from] pub(super) ProviderError);

impl From<ReadError> for JobError {
    /// A rate limit or a dead connection parks the account's other jobs too. Every other failed
    /// read is retried.
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
