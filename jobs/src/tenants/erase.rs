//! The end of a tenant: from the moment somebody asks for it nobody gets in any more; a job does the rest.

mod rows;

use serde_json::json;

use super::EraseTenant;
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::TenantId,
    secrets::Keyring,
};

pub(super) use rows::{
    KeptLogin, Revocable, TABLES, delete_some, finish, forget, is_connected, is_elsewhere, is_there, list_kept_logins,
    list_revocable,
};

/// Has a tenant erased: revokes its keys, takes its people and invitations out, and enqueues the job that removes everything. May
/// be repeated. Answers `None` where there is no such tenant. Needs the system scope.
///
/// # Errors
/// The database refused.
pub async fn erase(
    tx: &mut Tx,
    keyring: &Keyring,
    actor: &Actor,
    tenant_id: TenantId,
) -> Result<Option<Enqueued>, EnqueueError> {
    let Some(is_first) = rows::mark_erasing(tx, tenant_id).await? else {
        return Ok(None);
    };
    rows::lock_out(tx, tenant_id).await?;
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
