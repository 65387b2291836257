//! Mail: the emails, their recipients, and sending them.
//!
//! A use case enqueues an [`Email`] in its own transaction. [`SendMail`] reads the rows that the
//! email needs, and sends it.

mod email;
mod error;
mod rendered;
mod send_mail;
mod smtp;
mod store;
mod template;

pub use email::{AccountChange, Email, Recipient};
pub use error::MailError;
pub use send_mail::SendMail;
pub use smtp::{MailConfig, Mailer};

use crate::{
    engine::{EnqueueError, NewJob, Priority, Tx},
    ids::TenantId,
};

/// Enqueues an email. `tenant_id` is the tenant it is about.
///
/// Emails to operators and to persons, except invitations, always belong to the system's tenant.
/// Their transaction needs the system scope.
pub async fn enqueue(tx: &mut Tx, tenant_id: TenantId, email: Email) -> Result<(), sqlx::Error> {
    enqueue_all(tx, tenant_id, [email]).await
}

/// Enqueues several emails, like [`enqueue`].
pub async fn enqueue_all(
    tx: &mut Tx,
    tenant_id: TenantId,
    emails: impl IntoIterator<Item = Email>,
) -> Result<(), sqlx::Error> {
    enqueue_for_tenants(tx, emails.into_iter().map(|email| (tenant_id, email))).await
}

/// Enqueues emails that are about several tenants, like [`enqueue`]. Needs the system scope.
pub async fn enqueue_for_tenants(
    tx: &mut Tx,
    emails: impl IntoIterator<Item = (TenantId, Email)>,
) -> Result<(), sqlx::Error> {
    let jobs: Vec<NewJob> = emails.into_iter().map(|(tenant_id, email)| job(tenant_id, email)).collect();
    match tx.enqueue_all(jobs).await {
        // A suspended job with the same key sends the same email. A job without a parent cannot
        // have a cancelled one.
        Ok(_) | Err(EnqueueError::Suspended { .. } | EnqueueError::ParentCancelled) => Ok(()),
        Err(EnqueueError::Database(error)) => Err(error),
    }
}

fn job(tenant_id: TenantId, email: Email) -> NewJob {
    let tenant_id = if email.is_personal() { TenantId::SYSTEM } else { tenant_id };
    let priority = if email.is_waited_for() { Priority::High } else { Priority::Normal };
    NewJob::new(tenant_id, &SendMail { email, to: None }).with_priority(priority)
}

/// Sends the operators an alert, at most once an hour for each sort. Returns true if it is sent.
/// Needs the system scope.
///
/// Neither text may contain a secret, because both are in the payload.
pub async fn alert(tx: &mut Tx, sort: &str, words: &str) -> Result<bool, sqlx::Error> {
    if !store::claim_alert(tx, sort).await? {
        return Ok(false);
    }
    let email = Email::OperatorAlert { sort: sort.to_owned(), words: words.to_owned() };
    enqueue(tx, TenantId::SYSTEM, email).await?;
    Ok(true)
}
