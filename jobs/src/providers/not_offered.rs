//! The reasons for which a provider cannot be used.

use std::time::Duration;

use super::Provider;
use crate::engine::{Cause, CauseClass, JobError};

/// The time that a job waits for an operator to add the missing setting.
const SETTING_WAIT: Duration = Duration::from_mins(15);

/// The time that a job waits for a process of a newer version.
const DEPLOYMENT_WAIT: Duration = Duration::from_mins(1);

/// The reasons for which a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    /// This version knows no provider of that name.
    #[error("this version does not know the provider {0:?}")]
    Unknown(String),
    /// This version does not support that with this provider.
    #[error("this version cannot do that with {}", .0.label())]
    Unsupported(Provider),
    /// The provider is not configured.
    #[error("{} is not set up here: {setting} is missing", provider.label())]
    NotConfigured {
        /// The provider.
        provider: Provider,
        /// The setting without which it is not offered.
        setting: &'static str,
    },
}

impl From<NotOffered> for JobError {
    /// The job waits without counting a failure, because the cause is not the job's.
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
