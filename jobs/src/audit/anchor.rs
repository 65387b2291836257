//! Heads in the operators' chain, so that a tail that is cut together with its head is missed.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Actor, Entry, append, chain::Head, store};
use crate::{
    ids::TenantId,
    secrets::{Keyring, SecretError},
};

/// What the entries are called.
pub(super) const ACTION: &str = "audit.anchor";

/// What they hold.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Anchors {
    /// Tenant, place and mac in hex.
    pub(super) heads: Vec<(Uuid, i64, String)>,
}

/// One round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchored {
    /// How many heads were written down.
    pub(super) count: usize,
    /// Where to go on; `None`: there are no more.
    pub(super) next: Option<TenantId>,
}

/// Writes down heads that moved, of tenants behind `after`.
pub(super) async fn anchor_some(
    conn: &mut PgConnection,
    keyring: &Keyring,
    actor: &Actor,
    after: TenantId,
    limit: i64,
) -> Result<Anchored, sqlx::Error> {
    let found = store::list_moved_heads(conn, after, limit).await?;
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count == limit);
    let next = found.last().map(|head| head.tenant_id).filter(|_| is_full);
    let mut heads = genuine(keyring, found)?;
    if heads.is_empty() {
        return Ok(Anchored { count: 0, next });
    }
    let anchors =
        heads.iter().map(|head| (head.tenant_id.0, head.seq, hex::encode(head.mac.as_deref().unwrap_or_default())));
    let entry = Entry {
        tenant_id: TenantId::SYSTEM,
        action: ACTION.to_owned(),
        object_type: "audit_log",
        object_id: "heads".to_owned(),
        details: json!(Anchors { heads: anchors.collect() }),
    };
    append(conn, keyring, actor, &[entry]).await?;
    for head in &mut heads {
        head.anchored_seq = head.seq;
        head.sign(keyring);
    }
    store::update_heads(conn, &heads).await?;
    Ok(Anchored { count: heads.len(), next })
}

/// Those that are as the application left them. The others are left as they are, for whoever checks.
fn genuine(keyring: &Keyring, found: Vec<Head>) -> Result<Vec<Head>, sqlx::Error> {
    let mut heads = Vec::new();
    for head in found {
        match head.verify(keyring) {
            Ok(()) => heads.push(head),
            Err(error @ SecretError::UnknownKey(_)) => return Err(sqlx::Error::Configuration(error.into())),
            Err(SecretError::Refused | SecretError::Malformed) => {
                tracing::error!(tenant_id = %head.tenant_id, seq = head.seq, "the head of an audit log was tampered with");
            }
        }
    }
    Ok(heads)
}
