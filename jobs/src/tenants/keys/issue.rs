//! Issues and revokes keys.

use serde_json::json;
use uuid::Uuid;

use super::{KeyRow, insert, mark_revoked};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::{TenantId, UserId},
    name::Name,
    services::Services,
    tenants::permissions::Permissions,
};

/// A key to issue.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The tenant that owns it; [`TenantId::SYSTEM`] for an operator's key.
    pub tenant_id: TenantId,
    /// The name: the purpose of the key, or its holder.
    pub name: Name,
    /// The permissions of the key.
    pub permissions: Permissions,
    /// The person who makes it, if one does.
    pub maker: Option<UserId>,
}

/// Issues a key. The returned secret is shown only this once.
pub async fn issue(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    new: &NewKey,
) -> Result<(KeyRow, String), sqlx::Error> {
    let (row, key) = insert(tx, new.tenant_id, new.name.as_str(), new.maker, &new.permissions).await?;
    audit::append(tx, &services.keyring, actor, &[entry("api_key.create", &row)]).await?;
    Ok((row, key))
}

/// Revokes a key, unless `may_revoke` refuses. Returns `None` if this scope has no such key. It may
/// be repeated.
pub async fn revoke<E: From<sqlx::Error>>(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    id: Uuid,
    may_revoke: impl FnOnce(&KeyRow) -> Result<(), E>,
) -> Result<Option<KeyRow>, E> {
    let Some(row) = mark_revoked(tx, id).await? else {
        return Ok(None);
    };
    may_revoke(&row)?;
    audit::append(tx, &services.keyring, actor, &[entry("api_key.revoke", &row)]).await?;
    Ok(Some(row))
}

fn entry(action: &str, key: &KeyRow) -> Entry {
    let details = json!({
        "name": key.name, "prefix": key.prefix, "permissions": key.permissions, "revoked_at": key.revoked_at,
    });
    Entry::new(key.tenant_id, action, "api_key", key.id, details)
}
