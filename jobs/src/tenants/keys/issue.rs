//! Issuing and revoking keys.

use serde_json::json;
use uuid::Uuid;

use super::{KeyRow, insert, mark_revoked};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::{TenantId, UserId},
    services::Services,
    tenants::permissions::Permissions,
};

/// A key to issue.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose it is; an operator's if [`TenantId::SYSTEM`].
    pub tenant_id: TenantId,
    /// What it is for, or who holds it.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// The person who makes it, if one does.
    pub maker: Option<UserId>,
}

/// Issues a key. What is returned is the only time that it is to be seen.
pub async fn issue(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    new: &NewKey,
) -> Result<(KeyRow, String), sqlx::Error> {
    let (row, key) = insert(tx, new.tenant_id, &new.name, new.maker, &new.permissions).await?;
    audit::append(tx, &services.keyring, actor, &[entry("api_key.create", &row)]).await?;
    Ok((row, key))
}

/// Revokes a key that `may_revoke` does not object to; `None`: there is none in this scope. May be repeated.
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
