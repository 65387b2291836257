//! Erases a tenant's chain.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Actor, Entry, append, store};
use crate::{ids::TenantId, secrets::Keyring};

/// The action of the entry that says where a chain ended.
pub(super) const BEGUN: &str = "tenant.erase";

/// The action of the entry that says that the chain is erased.
pub(super) const OVER: &str = "tenant.erased";

/// The details of the first of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LastHead {
    /// The place of the last entry; 0 if there was none.
    pub(super) seq: i64,
    /// The MAC of that entry, in hex.
    pub(super) mac: String,
}

/// Removes up to `limit` entries of a tenant that is being erased. Returns true if nothing is left.
/// Needs the system scope.
///
/// The first call writes the end of the chain into the operators' chain, and from then on nothing
/// is appended to it. The last call removes the head and records that too. The caller repeats this
/// until it is done, in as many transactions as it likes.
///
/// # Errors
/// As [`append`].
pub async fn erase_some(
    conn: &mut PgConnection,
    keyring: &Keyring,
    actor: &Actor,
    tenant_id: TenantId,
    limit: i64,
) -> Result<bool, sqlx::Error> {
    let locked = store::lock_heads(conn, &[tenant_id]).await?;
    let mut head = locked.into_iter().next().ok_or(sqlx::Error::RowNotFound)?.head;
    if !head.is_ending {
        let last = LastHead { seq: head.seq, mac: hex::encode(head.mac.as_deref().unwrap_or_default()) };
        append(conn, keyring, actor, &[entry(BEGUN, tenant_id, json!(last))]).await?;
        head.is_ending = true;
        head.sign(keyring);
        store::update_heads(conn, std::slice::from_ref(&head)).await?;
    }
    store::allow_removal(conn, Some(tenant_id)).await?;
    let deleted = store::delete_some(conn, tenant_id, limit).await?;
    let is_over = i64::try_from(deleted).is_ok_and(|deleted| deleted < limit);
    if is_over {
        store::delete_head(conn, tenant_id).await?;
        append(conn, keyring, actor, &[entry(OVER, tenant_id, json!({}))]).await?;
    }
    store::allow_removal(conn, None).await?;
    Ok(is_over)
}

fn entry(action: &str, tenant_id: TenantId, details: Value) -> Entry {
    Entry {
        tenant_id: TenantId::SYSTEM,
        action: action.to_owned(),
        object_type: "tenant",
        object_id: tenant_id.to_string(),
        details,
    }
}
