//! Kinds as values: what the engine needs of a job type without naming the type.

use std::{fmt, ops::Deref, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Cause, CauseClass, Done, Job, JobContext, JobError, NotCompleted, Priority, Queue, Retry, Tx};
use crate::ids::{AccountId, TenantId};

/// Checks a payload; answers it in its plain form, with its unique key.
pub type Check = fn(Value) -> Result<(Value, Option<String>), serde_json::Error>;

type Run<S> = for<'a> fn(Value, &'a JobContext<S>) -> BoxFuture<'a, Result<Done, JobError>>;
type Account = for<'a> fn(TenantId, Value, &'a mut Tx) -> BoxFuture<'a, Result<Option<AccountId>, sqlx::Error>>;
type OnNotCompleted =
    for<'a> fn(TenantId, Value, &'a mut Tx, &'a NotCompleted) -> BoxFuture<'a, Result<(), sqlx::Error>>;

/// What stands in the place of a field that nobody is shown.
pub const REDACTED: &str = "[redacted]";

/// What the ledger must know of a kind of job.
#[derive(Clone, Copy)]
pub struct KindSpec {
    /// Its name in the ledger.
    pub name: &'static str,
    /// Which workers run it.
    pub queue: Queue,
    /// When a failed attempt is tried again.
    pub retry: Retry,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Before or after other work that is due.
    pub priority: Priority,
    /// Fields of the payload that nobody is shown.
    pub redacted: &'static [&'static str],
    /// The permission for what it does; `None` if nobody may enqueue it through the API.
    pub permission: Option<&'static str>,
    /// Whether one that was cancelled before its time keeps it when it is retried.
    pub keeps_time: bool,
    /// Whether a payload is one of this kind; answers it in its plain form, with its unique key.
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
    /// Of the kind that `J` is.
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

    /// A payload of this kind as people may see it.
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
    /// The kind that `J` is.
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
        // What is no payload of the kind acts on nothing: its attempt fails.
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
