//! Enqueues checks of user tokens, and warns people whose connections end soon.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{CheckToken, store};
use crate::{
    engine::{Done, Job, JobContext, JobError, NewJob, Queue, Retry},
    mail::{self, Email},
    queues,
    services::Services,
};

/// The number of jobs that one transaction enqueues.
const BATCH: i64 = 500;

/// The time between two checks of a token.
const INTERVAL: Duration = Duration::from_hours(24);

/// The time over which the checks are spread.
const SPREAD: TimeDelta = TimeDelta::minutes(50);

/// Enqueues a `check_token` job for every user token in use that was not checked for a day, and an
/// email for every connection that ends in 14, 7 or 1 days.
///
/// Safe to repeat: a token with an unfinished job is skipped, and each warning is recorded with its
/// email.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CheckTokens {}

impl Job for CheckTokens {
    type Services = Services;

    const KIND: &'static str = "check_tokens";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let warned = warn(cx).await?;
        let mut enqueued = 0;
        loop {
            let mut tx = cx.begin().await?;
            let tokens = store::list_unchecked_user_tokens(&mut tx, INTERVAL, BATCH).await?;
            if tokens.is_empty() {
                return tx.complete(json!({ "tokens": enqueued, "warned": warned })).await;
            }
            let now = tx.now().await?;
            let jobs = tokens.into_iter().map(|(tenant_id, token_id)| {
                let delay = TimeDelta::milliseconds(rand::random_range(0..=SPREAD.num_milliseconds()));
                NewJob::new(tenant_id, &CheckToken { token_id }).at(now + delay)
            });
            enqueued += tx.enqueue_all(jobs.collect()).await?.len();
            tx.commit().await?;
        }
    }
}

/// Warns the people of connections that end soon. Returns the number of warnings.
async fn warn(cx: &JobContext) -> Result<usize, JobError> {
    let mut warned = 0;
    loop {
        let mut tx = cx.begin().await?;
        let tokens = store::mark_warned(&mut tx, BATCH).await?;
        if tokens.is_empty() {
            return Ok(warned);
        }
        warned += tokens.len();
        let emails = tokens
            .into_iter()
            .map(|token| (token.tenant_id, Email::ConnectionEnding { token_id: token.id, days: token.days }));
        mail::enqueue_for_tenants(&mut tx, emails).await?;
        tx.commit().await?;
    }
}

#[cfg(test)]
mod tests;
