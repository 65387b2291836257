//! Links by which people without an account here connect theirs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{ConnectLinkId, TenantId, UserId},
    providers::{Provider, StoredProvider},
};

/// The lifetime of a link, in days.
const LIFE_DAYS: i32 = 7;

/// A link, without its secret.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct ConnectLinkRow {
    pub id: ConnectLinkId,
    pub tenant_id: TenantId,
    pub provider: StoredProvider,
    pub created_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Makes a link.
pub async fn insert_connect_link(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    provider: Provider,
    secret_sha256: &[u8],
    created_by: Option<UserId>,
) -> Result<ConnectLinkRow, sqlx::Error> {
    sqlx::query_as!(
        ConnectLinkRow,
        r#"
        insert into connect_links (id, tenant_id, provider, secret_sha256, created_by, expires_at)
        values ($1, $2, $3, $4, $5, engine_stamp() + make_interval(days => $6))
        returning id as "id: ConnectLinkId", tenant_id as "tenant_id: TenantId", provider as "provider: StoredProvider",
          created_by as "created_by: UserId", created_at, expires_at, revoked_at, last_used_at
        "#,
        ConnectLinkId::new().0,
        tenant_id.0,
        provider as Provider,
        secret_sha256,
        created_by.map(|id| id.0),
        LIFE_DAYS
    )
    .fetch_one(conn)
    .await
}

/// Returns the links of a tenant, newest first, including those that ended.
pub async fn list_connect_links(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<ConnectLinkRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        ConnectLinkRow,
        r#"
        select id as "id: ConnectLinkId", tenant_id as "tenant_id: TenantId", provider as "provider: StoredProvider",
          created_by as "created_by: UserId", created_at, expires_at, revoked_at, last_used_at
        from connect_links
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

/// Revokes a link. Returns `None` if the tenant has no such link.
pub async fn revoke_connect_link(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: ConnectLinkId,
) -> Result<Option<ConnectLinkRow>, sqlx::Error> {
    sqlx::query_as!(
        ConnectLinkRow,
        r#"
        update connect_links
        set revoked_at = coalesce(revoked_at, engine_stamp())
        where tenant_id = $1 and id = $2
        returning id as "id: ConnectLinkId", tenant_id as "tenant_id: TenantId", provider as "provider: StoredProvider",
          created_by as "created_by: UserId", created_at, expires_at, revoked_at, last_used_at
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// A link that works.
#[derive(Debug)]
pub struct OpenLink {
    /// Its id.
    pub id: ConnectLinkId,
    /// The tenant that gets the accounts.
    pub tenant_id: TenantId,
    /// The name of that tenant.
    pub tenant: String,
    /// The provider.
    pub provider: StoredProvider,
}

/// Returns a link that works. Needs the system scope.
pub async fn find_connect_link(conn: &mut PgConnection, secret_sha256: &[u8]) -> Result<Option<OpenLink>, sqlx::Error> {
    sqlx::query_as!(
        OpenLink,
        r#"
        select link.id as "id: ConnectLinkId", tenants.id as "tenant_id: TenantId", tenants.name as tenant,
          link.provider as "provider: StoredProvider"
        from connect_links link
        join tenants on tenants.id = link.tenant_id
        where link.secret_sha256 = $1 and link.revoked_at is null and link.expires_at > engine_now()
          and tenants.erasing_at is null
        "#,
        secret_sha256
    )
    .fetch_optional(conn)
    .await
}

/// Notes that somebody uses a link.
pub async fn note_link_use(conn: &mut PgConnection, tenant_id: TenantId, id: ConnectLinkId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update connect_links set last_used_at = engine_stamp() where tenant_id = $1 and id = $2",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
