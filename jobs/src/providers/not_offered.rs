//! Providers that cannot be used here.

use std::time::Duration;

use super::Provider;
use crate::engine::{Cause, CauseClass, JobError};

/// How long a job waits until an operator may have set what is missing.
const SETTING_WAIT: Duration = Duration::from_mins(15);

/// How long a job waits until a process of a newer version may take it.
const DEPLOYMENT_WAIT: Duration = Duration::from_mins(1);

/// Why a provider cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    /// No provider of that name is known to this version.
    #[error("this version knows no provider {0:?}")]
    Unknown(String),
    /// This version does not do that there.
    #[error("this version cannot do that with {}", .0.label())]
    Unsupported(Provider),
    /// It is not set up.
    #[error("{} is not set up here: {setting} is missing", provider.label())]
    NotConfigured {
        /// Which one.
        provider: Provider,
        /// The setting without which it is not offered.
        setting: &'static str,
    },
}

impl From<NotOffered> for JobError {
    /// Waiting costs no failure: what is missing is not the job's.
    fn from(error: NotOffered) -> Self {
        let (wait, words) = match &error {
            NotOffered::Unknown(name) => {
                (DEPLOYMENT_WAIT, format!("This version knows no provider {name}; a newer one has to do this."))
            }
            NotOffered::Unsupported(provider) => {
                (DEPLOYMENT_WAIT, format!("This version cannot do that with {}; a newer one has to.", provider.label()))
            }
            NotOffered::NotConfigured { provider, setting } => {
                (SETTING_WAIT, format!("{} is not set up here: an operator has to set {setting}.", provider.label()))
            }
        };
        Self::Later(wait, Cause::new(CauseClass::Config, words, error))
    }
}
