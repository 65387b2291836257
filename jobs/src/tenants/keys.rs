//! Keys for the API: shown once, stored as a hash.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::TenantId,
    secrets::{fingerprint, random_token},
};

/// How every key begins.
const PREFIX: &str = "lk_";

/// Who holds a key that is valid.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key's id.
    pub key_id: Uuid,
    /// What the key is called.
    pub name: String,
    /// Whose key it is; [`TenantId::SYSTEM`] for operators, who see every tenant.
    pub tenant_id: TenantId,
}

/// Makes an operator's key; needs the system scope. The answer is the only time the key is to be seen.
///
/// # Errors
/// The database refused.
pub async fn insert_operator_key(conn: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    let key = format!("{PREFIX}{}", random_token());
    sqlx::query!(
        "
        insert into api_keys (id, tenant_id, name, prefix, secret_sha256)
        values ($1, $2, $3, $4, $5)
        ",
        Uuid::now_v7(),
        TenantId::SYSTEM.0,
        name,
        &key[..PREFIX.len() + 6],
        fingerprint(&key)
    )
    .execute(conn)
    .await?;
    Ok(key)
}

/// The holder of a key that exists and is not revoked; needs the system scope.
///
/// # Errors
/// The database refused.
pub async fn find_by_key(conn: &mut PgConnection, key: &str) -> Result<Option<Holder>, sqlx::Error> {
    if !key.starts_with(PREFIX) {
        return Ok(None);
    }
    sqlx::query_as!(
        Holder,
        r#"
        select id as key_id, name, tenant_id as "tenant_id: TenantId"
        from api_keys
        where secret_sha256 = $1 and revoked_at is null
        "#,
        fingerprint(key)
    )
    .fetch_optional(conn)
    .await
}
