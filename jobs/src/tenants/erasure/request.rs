//! The request to erase a tenant: from that moment on nobody gets in any more.

use serde_json::json;

use super::{EraseTenant, store};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{TenantId, UserId},
    secrets::Keyring,
    tenants::{self, members, roles::Role},
};

/// A request to erase a tenant.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its name, so that nobody erases another one than was meant.
    pub confirmed_name: String,
    /// The person who has to own it; `None` for an operator.
    pub owner: Option<UserId>,
}

/// The reason why a tenant is not erased.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// There is no such tenant.
    #[error("no such tenant")]
    Missing,
    /// It has another name.
    #[error("the tenant has another name")]
    NotConfirmed,
    /// Whoever asks does not own it.
    #[error("only its owners erase a tenant")]
    OwnersOnly,
    /// The job could not be enqueued.
    #[error("could not enqueue")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Has a tenant erased that was confirmed by somebody who may do that. Needs the system scope.
///
/// # Errors
/// [`ErasureError`].
pub async fn request(
    tx: &mut Tx,
    keyring: &Keyring,
    actor: &Actor,
    erasure: &Erasure,
) -> Result<Enqueued, ErasureError> {
    let tenant_id = erasure.tenant_id;
    if let Some(owner) = erasure.owner
        && members::get_role(tx, tenant_id, owner).await? != Some(Role::Owner)
    {
        return Err(ErasureError::OwnersOnly);
    }
    let tenant = tenants::store::lock(tx, tenant_id).await?.ok_or(ErasureError::Missing)?;
    if tenant.name != erasure.confirmed_name {
        return Err(ErasureError::NotConfirmed);
    }
    erase(tx, keyring, actor, tenant_id).await?.ok_or(ErasureError::Missing)
}

/// Has a tenant erased: revokes its keys, takes its people and invitations out, and enqueues the job that removes everything. May
/// be repeated. Answers `None` where there is no such tenant. Needs the system scope.
pub async fn erase(
    tx: &mut Tx,
    keyring: &Keyring,
    actor: &Actor,
    tenant_id: TenantId,
) -> Result<Option<Enqueued>, EnqueueError> {
    let Some(is_first) = store::mark_erasing(tx, tenant_id).await? else {
        return Ok(None);
    };
    store::lock_out(tx, tenant_id).await?;
    let enqueued = tx.enqueue(NewJob::new(TenantId::SYSTEM, &EraseTenant { tenant_id })).await?;
    if is_first {
        let details = json!({ "job_id": enqueued.id });
        audit::append(tx, keyring, actor, &[entry("tenant.delete", tenant_id, details)]).await?;
    }
    Ok(Some(enqueued))
}

/// An entry in the operators' log: the tenant's own goes with it.
fn entry(action: &str, tenant_id: TenantId, details: serde_json::Value) -> Entry {
    Entry {
        tenant_id: TenantId::SYSTEM,
        action: action.to_owned(),
        object_type: "tenant",
        object_id: tenant_id.to_string(),
        details,
    }
}
