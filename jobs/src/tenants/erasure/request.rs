//! The request to erase a tenant. It takes effect at once: nobody can use the tenant any more.

use serde_json::json;

use super::{EraseTenant, store};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::TenantId,
    secrets::Keyring,
};

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
