//! Keys for the API: shown once, stored as a hash.
//!
//! A key is `lk_`, eight characters to recognise it by, `_`, 256 random bits and a checksum over all that, so that a mistyped
//! one is refused without the database, and a leaked one is found by a scanner. Keys of before were `lk_` and the bits.

mod issue;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{permissions::Permissions, plans::Plan};
use crate::{
    ids::{TenantId, UserId},
    secrets::{fingerprint, random_token},
};

pub use issue::{NewKey, issue, revoke};

/// How every key begins.
pub const PREFIX: &str = "lk_";

/// Characters behind it that are no secret.
const SHOWN: usize = 8;

/// Characters of the random bits.
const SECRET: usize = 43;

/// Characters at the end that follow from the others.
const CHECKSUM: usize = 6;

/// Who holds a key that is valid.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key's id.
    pub key_id: Uuid,
    /// What the key is called.
    pub name: String,
    /// Whose key it is; [`TenantId::SYSTEM`] for operators, who see every tenant.
    pub tenant_id: TenantId,
    /// What it may do there.
    pub permissions: Permissions,
    /// What its tenant pays for.
    pub plan: Plan,
}

/// A key as stored: not the key itself.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct KeyRow {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub name: String,
    pub prefix: String,
    pub permissions: Vec<String>,
    pub created_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Makes a key, an operator's if the tenant is [`TenantId::SYSTEM`]. The answer is the only time that it is to be seen.
pub async fn insert(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    name: &str,
    created_by: Option<UserId>,
    permissions: &Permissions,
) -> Result<(KeyRow, String), sqlx::Error> {
    let key = new_key();
    let row = sqlx::query_as!(
        KeyRow,
        r#"
        insert into api_keys (id, tenant_id, name, prefix, secret_sha256, permissions, created_by)
        values ($1, $2, $3, $4, $5, $6, $7)
        returning id, tenant_id as "tenant_id: TenantId", name, prefix, permissions,
          created_by as "created_by: UserId", created_at, last_used_at, revoked_at
        "#,
        Uuid::now_v7(),
        tenant_id.0,
        name,
        &key[..PREFIX.len() + SHOWN],
        fingerprint(&key),
        permissions.names(),
        created_by.map(|id| id.0)
    )
    .fetch_one(conn)
    .await?;
    Ok((row, key))
}

fn new_key() -> String {
    let shown = &hex::encode(rand::random::<[u8; SHOWN / 2]>());
    let body = format!("{PREFIX}{shown}_{}", random_token());
    let checksum = checksum(&body);
    body + &checksum
}

fn checksum(body: &str) -> String {
    hex::encode(&fingerprint(body)[..CHECKSUM / 2])
}

/// Whether it can be a key at all.
fn can_be(key: &str) -> bool {
    if key.len() == PREFIX.len() + SECRET {
        return key.starts_with(PREFIX);
    }
    let body = PREFIX.len() + SHOWN + 1 + SECRET;
    key.len() == body + CHECKSUM
        && key.split_at_checked(body).is_some_and(|(body, end)| body.starts_with(PREFIX) && checksum(body) == end)
}

/// The holder of a key that exists and is not revoked; needs the system scope. Notes that it was used, once a minute.
pub async fn find_by_key(conn: &mut PgConnection, key: &str) -> Result<Option<Holder>, sqlx::Error> {
    if !can_be(key) {
        return Ok(None);
    }
    let row = sqlx::query!(
        r#"
        with holder as (
          select id, name, tenant_id, permissions
          from api_keys
          where secret_sha256 = $1 and revoked_at is null
        ),
        used as (
          update api_keys
          set last_used_at = engine_stamp()
          where id in (
            select id
            from api_keys
            where id = (select id from holder)
              and (last_used_at is null or last_used_at < engine_stamp() - interval '1 minute')
            for update skip locked
          )
        )
        select holder.id, holder.name, tenant_id as "tenant_id: TenantId", permissions, plan as "plan: Plan"
        from holder
        join tenants on tenants.id = tenant_id
        "#,
        fingerprint(key)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Holder {
        key_id: row.id,
        name: row.name,
        tenant_id: row.tenant_id,
        permissions: Permissions::stored(row.permissions),
        plan: row.plan,
    }))
}

/// Whether a key is not revoked; needs the system scope.
pub async fn is_valid(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from api_keys where id = $1 and revoked_at is null) as "is_valid!""#,
        id
    )
    .fetch_one(conn)
    .await
}

/// A tenant's keys, revoked ones too, newest first.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        KeyRow,
        r#"
        select id, tenant_id as "tenant_id: TenantId", name, prefix, permissions,
          created_by as "created_by: UserId", created_at, last_used_at, revoked_at
        from api_keys
        where tenant_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3))
        order by created_at desc, id desc
        limit $4
        "#,
        tenant_id.0,
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Marks a key as revoked: from the next request on it is none. Returns it as it is now; `None`: there is none in this scope.
pub async fn mark_revoked(conn: &mut PgConnection, id: Uuid) -> Result<Option<KeyRow>, sqlx::Error> {
    sqlx::query_as!(
        KeyRow,
        r#"
        update api_keys
        set revoked_at = coalesce(revoked_at, engine_stamp())
        where id = $1
        returning id, tenant_id as "tenant_id: TenantId", name, prefix, permissions,
          created_by as "created_by: UserId", created_at, last_used_at, revoked_at
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_random_and_ends_with_its_checksum() {
        let (key, other) = (new_key(), new_key());
        assert!(can_be(&key) && key != other && key.starts_with(PREFIX), "{key}");
        assert!(can_be(&format!("{PREFIX}{}", random_token())), "one of before");
    }

    #[test]
    fn what_is_mistyped_is_no_key() {
        let key = new_key();
        let other_end = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
        for mistyped in ["", "lk_", "é", "lk_éééééé", &key[1..], &key[..key.len() - 1], &other_end, &key.to_uppercase()]
        {
            assert!(!can_be(mistyped), "{mistyped}");
        }
    }
}
