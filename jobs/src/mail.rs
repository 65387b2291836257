//! Mail: what is written to whom.
//!
//! Whoever has something to say enqueues a [`Email`] in the transaction in which it happens; [`SendMail`] reads what it needs
//! and sends it.

mod email;
mod error;
mod rendered;
mod send_mail;
mod smtp;
mod store;
mod template;

pub use email::{Email, Recipient};
pub use error::MailError;
pub use send_mail::SendMail;
pub use smtp::{MailConfig, Mailer};

use crate::{
    engine::{EnqueueError, NewJob, Priority, Tx},
    ids::TenantId,
};

/// Has an email sent. `tenant_id` is whom it is about; emails to persons and operators belong to the system's tenant, whatever
/// it is, so their transaction must be one of the system.
pub async fn enqueue(tx: &mut Tx, tenant_id: TenantId, email: Email) -> Result<(), sqlx::Error> {
    enqueue_all(tx, tenant_id, [email]).await
}

/// Has emails sent, as [`enqueue`] does.
pub async fn enqueue_all(
    tx: &mut Tx,
    tenant_id: TenantId,
    emails: impl IntoIterator<Item = Email>,
) -> Result<(), sqlx::Error> {
    let jobs: Vec<NewJob> = emails.into_iter().map(|email| job(tenant_id, email)).collect();
    match tx.enqueue_all(jobs).await {
        // A suspended job with the same key sends the same email; one without a parent has none that was cancelled.
        Ok(_) | Err(EnqueueError::Suspended { .. } | EnqueueError::ParentCancelled) => Ok(()),
        Err(EnqueueError::Database(error)) => Err(error),
    }
}

fn job(tenant_id: TenantId, email: Email) -> NewJob {
    let tenant_id = if email.is_personal() { TenantId::SYSTEM } else { tenant_id };
    let priority = if email.is_waited_for() { Priority::High } else { Priority::Normal };
    NewJob::new(tenant_id, &SendMail { email, to: None }).with_priority(priority)
}

/// Tells the operators something, at most once an hour for each sort; answers whether they are told. Needs a transaction of
/// the system. Neither text may hold a secret: both are in the payload.
pub async fn alert(tx: &mut Tx, sort: &str, words: &str) -> Result<bool, sqlx::Error> {
    if !store::claim_alert(tx, sort).await? {
        return Ok(false);
    }
    let email = Email::OperatorAlert { sort: sort.to_owned(), words: words.to_owned() };
    enqueue(tx, TenantId::SYSTEM, email).await?;
    Ok(true)
}
