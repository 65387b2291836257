//! Erases the accounts of people who ask for it.

use serde_json::json;

use super::{Address, EraseUser, operators, sessions, store};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{TenantId, UserId},
    services::Services,
    tenants::members,
};

/// The reasons for which a person is not erased.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// There is no such person.
    #[error("the person does not exist")]
    Missing,
    /// The given address is not the person's.
    #[error("the given address is not the person's")]
    NotConfirmed,
    /// A tenant with other people would have no owner.
    #[error("the person is the last owner of a tenant with other people")]
    LastOwner,
    /// Nobody else is an operator who may do everything.
    #[error("the person is the last full operator")]
    LastOperator,
    /// The job could not be enqueued.
    #[error("could not enqueue the job")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Enqueues the erasure of a person, and signs the person out. Needs the system scope.
///
/// # Errors
/// [`LeaveError`].
pub async fn leave(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    user_id: UserId,
    confirmed_email: &str,
) -> Result<Enqueued, LeaveError> {
    let user = store::get(tx, user_id).await?.ok_or(LeaveError::Missing)?;
    if !Address::parse(confirmed_email).is_ok_and(|address| address.canonical() == user.email_canonical) {
        return Err(LeaveError::NotConfirmed);
    }
    let owned = members::list_owned_alone(tx, user_id).await?;
    if owned.iter().any(|(_, others)| *others > 0) {
        return Err(LeaveError::LastOwner);
    }
    if user.operator_role.is_some() && operators::is_last_full_one(tx, user_id).await? {
        return Err(LeaveError::LastOperator);
    }
    let enqueued = tx.enqueue(NewJob::new(TenantId::SYSTEM, &EraseUser { user_id })).await?;
    sessions::revoke_all(tx, user_id).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.delete", "user", user_id, json!({ "job_id": enqueued.id }));
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(enqueued)
}
