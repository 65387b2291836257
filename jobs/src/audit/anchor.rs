//! Copies heads of tenants' chains into the operators' chain. If a chain's tail is cut together
//! with its head, the copy reveals it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Actor, Entry, append, chain::Head, store};
use crate::{
    ids::TenantId,
    secrets::{Keyring, SecretError},
};

/// The action of these entries.
pub(super) const ACTION: &str = "audit.anchor";

/// The details of these entries.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Anchors {
    /// The tenant, the place and the MAC in hex.
    pub(super) heads: Vec<(Uuid, i64, String)>,
}

/// The result of one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchored {
    /// The number of heads that were copied.
    pub(super) count: usize,
    /// The tenant to go on after; `None` if there are no more.
    pub(super) next: Option<TenantId>,
}

/// Copies heads that moved, of tenants after `after`.
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

/// Returns the heads that are as the application left them. The others stay unchanged, so that a
/// verification finds them.
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
