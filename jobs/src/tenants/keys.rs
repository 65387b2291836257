//! API keys: shown once, stored as a hash.
//!
//! A key is `lk_`, eight characters to recognise it by, `_`, 256 random bits and a checksum over
//! all of it. The checksum rejects a mistyped key without a query, and lets secret scanners
//! recognise a leaked one. Older keys are `lk_` and the random bits only.

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

/// The prefix of every key.
pub const PREFIX: &str = "lk_";

/// The number of characters after the prefix that are not secret.
const SHOWN: usize = 8;

/// The number of characters for the random bits.
const SECRET: usize = 43;

/// The number of characters of the checksum at the end.
const CHECKSUM: usize = 6;

/// The holder of a valid key.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key's id.
    pub key_id: Uuid,
    /// The key's name.
    pub name: String,
    /// The key's tenant; [`TenantId::SYSTEM`] for operators, who see every tenant.
    pub tenant_id: TenantId,
    /// The key's permissions in the tenant.
    pub permissions: Permissions,
    /// The tenant's plan.
    pub plan: Plan,
}

/// A key as stored, without its secret.
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

/// Makes a key: an operator's key if the tenant is [`TenantId::SYSTEM`]. Only its hash is stored,
/// so the returned key cannot be read again.
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

/// Returns true if the text has the form of a key and its checksum is right.
fn can_be(key: &str) -> bool {
    if key.len() == PREFIX.len() + SECRET {
        return key.starts_with(PREFIX);
    }
    let body = PREFIX.len() + SHOWN + 1 + SECRET;
    key.len() == body + CHECKSUM
        && key.split_at_checked(body).is_some_and(|(body, end)| body.starts_with(PREFIX) && checksum(body) == end)
}

/// Returns the holder of a key that is not revoked, and records the use, at most once a minute.
/// Needs the system scope.
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

/// Returns true if a key is not revoked. Needs the system scope.
pub async fn is_valid(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from api_keys where id = $1 and revoked_at is null) as "is_valid!""#,
        id
    )
    .fetch_one(conn)
    .await
}

/// Returns a tenant's keys, newest first, including revoked ones.
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

/// Revokes a key from the next request on, and returns it. Returns `None` if this scope has no such
/// key.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_random_and_ends_with_its_checksum() {
        let (key, other) = (new_key(), new_key());
        assert!(can_be(&key) && key != other && key.starts_with(PREFIX), "{key}");
        assert!(can_be(&format!("{PREFIX}{}", random_token())), "one of before");
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_key(text in ".*", like in "lk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}[0-9a-f]{6}") {
            prop_assert!(!can_be(&text));
            prop_assert!(!can_be(&like) || like.ends_with(&checksum(&like[..like.len() - CHECKSUM])));
        }
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
