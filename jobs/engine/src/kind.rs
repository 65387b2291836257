//! Kinds of jobs as values, for code that does not name the job's type.

use std::{fmt, ops::Deref, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Cause, CauseClass, Done, Job, JobContext, JobError, NotCompleted, Priority, Queue, Retry, Tx};
use crate::ids::{AccountId, TenantId};

/// A function that checks a payload. It returns the payload in its normal form, and its unique key.
pub type Check = fn(Value) -> Result<(Value, Option<String>), serde_json::Error>;

type Run<S> = for<'a> fn(Value, &'a JobContext<S>) -> BoxFuture<'a, Result<Done, JobError>>;
type Account = for<'a> fn(TenantId, Value, &'a mut Tx) -> BoxFuture<'a, Result<Option<AccountId>, sqlx::Error>>;
type OnNotCompleted =
    for<'a> fn(TenantId, Value, &'a mut Tx, &'a NotCompleted) -> BoxFuture<'a, Result<(), sqlx::Error>>;

/// The value shown instead of a hidden field.
pub const REDACTED: &str = "[redacted]";

/// The description of a kind of job.
#[derive(Clone, Copy)]
pub struct KindSpec {
    /// The name in the ledger.
    pub name: &'static str,
    /// The queue that it runs in: see [`Job::QUEUE`].
    pub queue: Queue,
    /// The retry policy: see [`Job::RETRY`].
    pub retry: Retry,
    /// The time limit of one attempt: see [`Job::TIMEOUT`].
    pub timeout: Duration,
    /// The priority: see [`Job::PRIORITY`].
    pub priority: Priority,
    /// Hidden fields of the payload: see [`Job::REDACTED`].
    pub redacted: &'static [&'static str],
    /// The permission to enqueue it through the API: see [`Job::PERMISSION`].
    pub permission: Option<&'static str>,
    /// True if a retried job waits for its time: see [`Job::KEEPS_TIME`].
    pub keeps_time: bool,
    /// The function that checks a payload of this kind.
    pub check: Check,
    pub(super) account: Account,
    pub(super) on_not_completed: OnNotCompleted,
}

impl fmt::Debug for KindSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KindSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl KindSpec {
    /// Describes the kind of `J`.
    #[must_use]
    pub const fn of<J: Job>() -> Self {
        Self {
            name: J::KIND,
            queue: J::QUEUE,
            retry: J::RETRY,
            timeout: J::TIMEOUT,
            priority: J::PRIORITY,
            redacted: J::REDACTED,
            permission: J::PERMISSION,
            keeps_time: J::KEEPS_TIME,
            check: |args| {
                let job = serde_json::from_value::<J>(args)?;
                Ok((serde_json::to_value(&job)?, job.unique_key()))
            },
            account: |tenant_id, args, tx| Box::pin(account::<J>(tenant_id, args, tx)),
            on_not_completed: |tenant_id, args, tx, what| Box::pin(on_not_completed::<J>(tenant_id, args, tx, what)),
        }
    }

    /// Returns a payload of this kind with its hidden fields replaced.
    #[must_use]
    pub fn shown(&self, mut args: Value) -> Value {
        redact(&mut args, self.redacted);
        args
    }
}

/// A kind of job that can be run.
pub struct Kind<S> {
    spec: KindSpec,
    pub(super) run: Run<S>,
}

impl<S: Send + Sync + 'static> Kind<S> {
    /// Makes the kind of `J`.
    #[must_use]
    pub const fn of<J: Job<Services = S>>() -> Self {
        Self { spec: KindSpec::of::<J>(), run: |args, cx| Box::pin(run::<J>(args, cx)) }
    }
}

impl<S> Deref for Kind<S> {
    type Target = KindSpec;

    fn deref(&self) -> &KindSpec {
        &self.spec
    }
}

impl<S> Clone for Kind<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Kind<S> {}

impl<S> fmt::Debug for Kind<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

fn redact(value: &mut Value, fields: &[&str]) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if fields.contains(&name.as_str()) {
                    *value = Value::from(REDACTED);
                } else {
                    redact(value, fields);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, fields)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

async fn account<J: Job>(tenant_id: TenantId, args: Value, tx: &mut Tx) -> Result<Option<AccountId>, sqlx::Error> {
    match serde_json::from_value::<J>(args) {
        Ok(job) => job.account(tenant_id, tx).await,
        // A payload that does not match the kind names no account. Its attempt will fail.
        Err(_) => Ok(None),
    }
}

async fn run<J: Job>(args: Value, cx: &JobContext<J::Services>) -> Result<Done, JobError> {
    let job: J = serde_json::from_value(args).map_err(|error| {
        JobError::Fail(Cause::new(CauseClass::Payload, format!("The payload is not one of a {} job.", J::KIND), error))
    })?;
    job.run(cx).await
}

async fn on_not_completed<J: Job>(
    tenant_id: TenantId,
    args: Value,
    tx: &mut Tx,
    not_completed: &NotCompleted,
) -> Result<(), sqlx::Error> {
    match serde_json::from_value::<J>(args) {
        Ok(job) => job.on_not_completed(tenant_id, tx, not_completed).await,
        // No job could be read from the payload, so it has no rows that could follow.
        Err(_) => Ok(()),
    }
}
