//! Sends one email, or enqueues one job per recipient for an email to a tenant.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Email, Recipient, rendered, store};
use crate::{
    engine::{Done, Job, JobContext, JobError, NewJob, Queue, Retry},
    queues,
    services::Services,
};

/// Sends an email to its person, or to `to`. An email to a tenant without `to` becomes one job per
/// recipient.
///
/// Safe to repeat up to one point. If the server took the email and its response got lost, or if
/// this process died before recording it, the email is sent again. Mail cannot be read back, and an
/// email twice is better than none.
///
/// Both copies have the same `Message-ID`, made of the job's id, by which mail systems recognise a
/// duplicate. Each recipient has a separate job, so that no retry writes to somebody who got the
/// email.
///
/// It runs in the default queue: installations that list their queues would otherwise send no mail.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendMail {
    /// The email.
    #[serde(flatten)]
    pub email: Email,
    /// The one recipient of an email to a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Recipient>,
}

impl Job for SendMail {
    type Services = Services;

    const KIND: &'static str = "send_mail";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::PATIENT;
    const TIMEOUT: Duration = Duration::from_mins(3);
    /// Callers who may enqueue jobs of a tenant must not be able to send mail through us.
    const PERMISSION: Option<&'static str> = None;

    fn unique_key(&self) -> Option<String> {
        let email = self.email.key();
        Some(match self.to {
            None => email,
            Some(Recipient::User(id)) => format!("{email}:{id}"),
            Some(Recipient::Tenant) => format!("{email}:tenant"),
        })
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        if self.email.is_to_tenant() && self.to.is_none() {
            return hand_out(cx, self.email).await;
        }
        let Some(rendered_email) = rendered::read(cx, &self).await? else {
            return Ok(Done::nothing("nobody to write to, or it is over: used, expired, mended or gone"));
        };
        let smtp = cx.services().mail.smtp()?;
        let message_id = smtp.message_id(cx.job_id());
        let message = rendered_email.compose(smtp.from(), &message_id)?;
        smtp.send(&message).await?;
        cx.begin().await?.complete(json!({ "message_id": message_id })).await
    }
}

/// Enqueues one job per recipient, in the transaction that completes this one.
async fn hand_out(cx: &JobContext, email: Email) -> Result<Done, JobError> {
    let mut tx = cx.begin().await?;
    let mut recipients = store::list_staff(&mut tx, cx.tenant_id()).await?;
    if recipients.is_empty() {
        recipients.push(Recipient::Tenant);
    }
    let jobs = recipients.iter().map(|&to| SendMail { email: email.clone(), to: Some(to) });
    let jobs = jobs.map(|mail| NewJob::new(cx.tenant_id(), &mail)).collect();
    tx.enqueue_all(jobs).await?;
    tx.complete(json!({ "recipients": recipients.len() })).await
}

#[cfg(test)]
mod tests;
