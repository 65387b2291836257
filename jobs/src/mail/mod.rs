//! Mail: what is written to whom.
//!
//! Whoever has something to say enqueues a [`Letter`] in the transaction in which it happens; [`SendMail`] reads what it needs
//! and sends it.

mod draft;
mod error;
mod letter;
mod send_mail;
mod smtp;
mod store;
mod words;

pub use error::MailError;
pub use letter::{Letter, Recipient};
pub use send_mail::SendMail;
pub use smtp::{MailConfig, Mailer};

use crate::{
    engine::{EnqueueError, NewJob, Priority, Tx},
    ids::TenantId,
};

/// Has a letter sent. `tenant_id` is whom it is about; letters to persons and operators belong to the system's tenant, whatever
/// it is, so their transaction must be one of the system.
///
/// # Errors
/// The database refused.
pub async fn enqueue(tx: &mut Tx, tenant_id: TenantId, letter: Letter) -> Result<(), sqlx::Error> {
    enqueue_all(tx, tenant_id, [letter]).await
}

/// Has letters sent, as [`enqueue`] does.
///
/// # Errors
/// The database refused.
pub async fn enqueue_all(
    tx: &mut Tx,
    tenant_id: TenantId,
    letters: impl IntoIterator<Item = Letter>,
) -> Result<(), sqlx::Error> {
    let jobs: Vec<NewJob> = letters.into_iter().map(|letter| job(tenant_id, letter)).collect();
    match tx.enqueue_all(jobs).await {
        // A suspended job with the same key sends the same letter; one without a parent has none that was cancelled.
        Ok(_) | Err(EnqueueError::Suspended { .. } | EnqueueError::ParentCancelled) => Ok(()),
        Err(EnqueueError::Database(error)) => Err(error),
    }
}

fn job(tenant_id: TenantId, letter: Letter) -> NewJob {
    let tenant_id = if letter.is_personal() { TenantId::SYSTEM } else { tenant_id };
    let priority = if letter.is_waited_for() { Priority::High } else { Priority::Normal };
    NewJob::new(tenant_id, &SendMail { letter, to: None }).with_priority(priority)
}

/// Tells the operators something, at most once an hour for each sort; answers whether they are told. Needs a transaction of
/// the system. Neither text may hold a secret: both are in the payload.
///
/// # Errors
/// The database refused.
pub async fn alert(tx: &mut Tx, sort: &str, words: &str) -> Result<bool, sqlx::Error> {
    if !store::claim_alert(tx, sort).await? {
        return Ok(false);
    }
    let letter = Letter::OperatorAlert { sort: sort.to_owned(), words: words.to_owned() };
    enqueue(tx, TenantId::SYSTEM, letter).await?;
    Ok(true)
}
