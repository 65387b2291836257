//! Jobs that do what a test asks for. They exist only in builds with the feature `testing`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    connections,
    engine::{Cause, CauseClass, Done, Job, JobContext, JobError, Queue, Retry},
    ids::TokenId,
    providers::sandbox_drive,
    queues,
    services::Services,
};

/// Does `what`, after `ms` milliseconds.
///
/// Safe to repeat: it writes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaultProbe {
    /// The way it ends.
    pub what: Probe,
    /// The time it runs before that, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// The number of first attempts that do it; later ones complete at once. All attempts do it if
    /// absent.
    #[serde(default)]
    pub attempts: Option<i32>,
}

/// The way a probe ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// It aborts its process.
    Abort,
    /// It panics.
    Panic,
    /// It fails, and may be retried.
    Fail,
    /// It sleeps, then completes.
    Sleep,
    /// It completes.
    Ok,
}

impl Job for FaultProbe {
    type Services = Services;

    const KIND: &'static str = "fault_probe";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::QUICK;
    const PERMISSION: Option<&'static str> = Some("jobs:write");

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        if self.attempts.is_some_and(|attempts| cx.attempt().number > attempts) {
            return Ok(Done::nothing("a probe did it often enough"));
        }
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        match self.what {
            Probe::Abort => std::process::abort(),
            Probe::Panic => panic!("a probe was asked to panic"),
            Probe::Fail => Err(JobError::Retry(Cause::plain(CauseClass::Internal, "A test asked for a failure."))),
            Probe::Sleep | Probe::Ok => Ok(Done::nothing("a probe writes nothing")),
        }
    }
}

/// The same job with a timeout of one second.
///
/// Safe to repeat, like the other one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShortTimeoutProbe(pub FaultProbe);

impl Job for ShortTimeoutProbe {
    type Services = Services;

    const KIND: &'static str = "short_timeout_probe";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(1);
    const PERMISSION: Option<&'static str> = Some("jobs:write");

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        self.0.run(cx).await
    }
}

/// Uses a token as other jobs do: gets it, and asks its provider whose it is.
///
/// Safe to repeat: it writes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenProbe {
    /// The token.
    pub token_id: TokenId,
    /// Tells probes of one token apart.
    pub number: u32,
}

impl Job for TokenProbe {
    type Services = Services;

    const KIND: &'static str = "token_probe";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let token = connections::usable_token(cx, self.token_id, None).await?;
        let connector = cx.services().providers.connector(sandbox_drive::PROVIDER)?;
        connector.check(&token).await?;
        Ok(Done::nothing("a probe writes nothing"))
    }
}
