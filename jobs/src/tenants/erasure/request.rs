//! The request to erase a tenant. It takes effect at once: nobody can use the tenant any more.

use serde_json::json;

use super::{EraseTenant, store};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{TenantId, UserId},
    name,
    secrets::Keyring,
    tenants::{self, members, roles::Role},
};

/// A request to erase a tenant.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its name, typed by the caller, so that nobody erases the wrong tenant.
    pub confirmed_name: String,
    /// The person who requests it and must own the tenant; `None` for an operator.
    pub owner: Option<UserId>,
}

/// The reason why a tenant is not erased.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// There is no such tenant.
    #[error("the tenant does not exist")]
    Missing,
    /// It has another name.
    #[error("the given name is not the tenant's")]
    NotConfirmed,
    /// The person who requests it does not own it.
    #[error("only owners may erase their tenant")]
    OwnersOnly,
    /// The job could not be enqueued.
    #[error("could not enqueue the job")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Checks a request to erase a tenant, and starts the erasure. Needs the system scope.
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
    if name::composed(&tenant.name) != name::composed(&erasure.confirmed_name) {
        return Err(ErasureError::NotConfirmed);
    }
    erase(tx, keyring, actor, tenant_id).await?.ok_or(ErasureError::Missing)
}

/// Starts the erasure of a tenant: revokes its keys, removes its members and invitations, and
/// enqueues the job that deletes the rest.
///
/// Idempotent. Returns `None` if there is no such tenant. Needs the system scope.
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

/// Returns an entry for the operators' log, because the tenant's own log is erased too.
fn entry(action: &str, tenant_id: TenantId, details: serde_json::Value) -> Entry {
    Entry {
        tenant_id: TenantId::SYSTEM,
        action: action.to_owned(),
        object_type: "tenant",
        object_id: tenant_id.to_string(),
        details,
    }
}
