//! The SQL of the erasure.

use sqlx::{AssertSqlSafe, PgConnection};

use uuid::Uuid;

use crate::{
    ids::{OauthStateId, TenantId, TokenId},
    providers::{Provider, StoredProvider},
};

/// Every table with rows of tenants, each before the tables that it references. Unfinished jobs,
/// the audit log and the tenant itself are deleted separately.
pub(super) const TABLES: &[&str] = &[
    "job_events",
    "job_attempts",
    "job_history",
    "jobs_to_index",
    "job_words",
    "effects",
    "parked_accounts",
    "resting_lanes",
    "post_history",
    "posts",
    "content_calendar",
    "tenant_settings",
    "social_accounts",
    "token_refresh_history",
    "oauth_tokens",
    "oauth_state",
    "revocations",
    "service_keys",
    "brand_assets",
    "asset_folders",
    "tenant_usage",
    "idempotency_keys",
    "invitations",
    "tenant_users",
    "api_keys",
];

/// Marks a tenant as being erased. Returns true if it was not marked before, and `None` if there is
/// no such tenant.
pub(super) async fn mark_erasing(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Option<bool>, sqlx::Error> {
    let before = sqlx::query_scalar!(
        r#"
        select erasing_at is null as "is_first!"
        from tenants
        where id = $1 and id <> $2
        for no key update
        "#,
        tenant_id.0,
        TenantId::SYSTEM.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    if before == Some(true) {
        sqlx::query!("update tenants set erasing_at = engine_stamp() where id = $1", tenant_id.0).execute(conn).await?;
    }
    Ok(before)
}

/// Locks everybody out: revokes keys, and deletes memberships, open invitations and unfinished
/// sign-ins for connecting accounts.
pub(super) async fn lock_out(conn: &mut PgConnection, tenant_id: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        with keys as (
          update api_keys set revoked_at = engine_stamp() where tenant_id = $1 and revoked_at is null
        ),
        invited as (
          delete from invitations where tenant_id = $1
        ),
        logins as (
          delete from oauth_state where tenant_id = $1 and code is null and user_token is null
        )
        delete from tenant_users where tenant_id = $1
        ",
        tenant_id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns true if the tenant's row exists and is marked as being erased.
pub(super) async fn is_there(conn: &mut PgConnection, tenant_id: TenantId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from tenants where id = $1 and erasing_at is not null) as "is_there!""#,
        tenant_id.0
    )
    .fetch_one(conn)
    .await
}

/// A person's token that is revoked with the tenant.
pub(super) struct Revocable {
    pub(super) id: TokenId,
    pub(super) provider: StoredProvider,
    pub(super) access_token: String,
    /// True if the same person connected accounts in another tenant too.
    pub(super) is_shared: bool,
}

/// Returns the people's tokens of a tenant that are not forgotten yet. Revoking one ends every
/// grant of that person to us, in other tenants too.
pub(super) async fn list_revocable(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<TokenId>,
    limit: i64,
) -> Result<Vec<Revocable>, sqlx::Error> {
    sqlx::query_as!(
        Revocable,
        r#"
        select token.id as "id: TokenId", token.provider as "provider: StoredProvider", token.access_token,
          exists (
            select from oauth_tokens other
            where other.provider = token.provider and other.subject_id = token.subject_id and other.kind = 'user'
              and other.tenant_id <> token.tenant_id and other.access_token <> ''
          ) as "is_shared!"
        from oauth_tokens token
        where token.tenant_id = $1 and token.kind = 'user' and token.access_token <> '' and ($2::uuid is null or token.id > $2)
        order by token.id
        limit $3
        "#,
        tenant_id.0,
        after.map(|id| id.0),
        limit
    )
    .fetch_all(conn)
    .await
}

/// The token of a login whose code was exchanged, but with which no account was connected yet.
pub(super) struct KeptLogin {
    pub(super) id: OauthStateId,
    pub(super) provider: StoredProvider,
    pub(super) user_token: String,
}

/// Returns a tenant's logins whose code was exchanged and with which no account was connected.
pub(super) async fn list_kept_logins(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<OauthStateId>,
    limit: i64,
) -> Result<Vec<KeptLogin>, sqlx::Error> {
    sqlx::query_as!(
        KeptLogin,
        r#"
        select id as "id: OauthStateId", provider as "provider: StoredProvider", user_token as "user_token!"
        from oauth_state
        where tenant_id = $1 and user_token is not null and ($2::uuid is null or id > $2)
        order by id
        limit $3
        "#,
        tenant_id.0,
        after.map(|id| id.0),
        limit
    )
    .fetch_all(conn)
    .await
}

/// Returns true if a person connected accounts in another tenant.
pub(super) async fn is_elsewhere(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    provider: Provider,
    person_id: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from oauth_tokens
          where provider = $3 and kind = 'user' and subject_id = $2 and tenant_id <> $1 and access_token <> ''
        ) as "is_elsewhere!"
        "#,
        tenant_id.0,
        person_id,
        provider as Provider
    )
    .fetch_one(conn)
    .await
}

/// Forgets tokens, of connections, logins and revocations, that need no further attempt.
pub(super) async fn forget(conn: &mut PgConnection, tenant_id: TenantId, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        with logins as (
          update oauth_state set user_token = null, refresh_token = null where tenant_id = $1 and id = any($2)
        ),
        kept as (
          delete from revocations where tenant_id = $1 and id = any($2)
        )
        update oauth_tokens set access_token = '', refresh_token = null where tenant_id = $1 and id = any($2)
        ",
        tenant_id.0,
        ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns true if there is a person's token that is not forgotten yet.
pub(super) async fn is_connected(conn: &mut PgConnection, tenant_id: TenantId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (select from oauth_tokens where tenant_id = $1 and kind = 'user' and access_token <> '')
          or exists (select from oauth_state where tenant_id = $1 and user_token is not null)
          or exists (select from revocations where tenant_id = $1) as "is_connected!"
        "#,
        tenant_id.0
    )
    .fetch_one(conn)
    .await
}

/// Deletes up to `limit` rows of a tenant from one of [`TABLES`]. Returns the number of rows.
pub(super) async fn delete_some(
    conn: &mut PgConnection,
    table: &'static str,
    tenant_id: TenantId,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    // Otherwise each chunk would build a bitmap of all the tenant's rows in the table again.
    sqlx::query!("set local enable_bitmapscan = off").execute(&mut *conn).await?;
    let sql = format!(
        "delete from {table} where tenant_id = $1 and ctid = any (array(
           select ctid from {table} where tenant_id = $1 limit $2
         ))"
    );
    let deleted = sqlx::query(AssertSqlSafe(sql)).bind(tenant_id.0).bind(limit).execute(conn).await?;
    Ok(deleted.rows_affected())
}

/// Deletes the tenant's row if nothing references it. Returns true if it did. A row that is
/// inserted at the same time waits for the lock, and then finds no tenant.
pub(super) async fn finish(conn: &mut PgConnection, tenant_id: TenantId) -> Result<bool, sqlx::Error> {
    sqlx::query!("select id from tenants where id = $1 for update", tenant_id.0).fetch_optional(&mut *conn).await?;
    // Two queries for the jobs, because an index serves each of them, but none serves one query for
    // all jobs.
    let jobs = ["jobs where state <> 'executing' and", "jobs where state = 'executing' and"].map(str::to_owned);
    let others = TABLES.iter().chain(&["audit_log", "audit_heads"]).map(|table| format!("{table} where"));
    let parts: Vec<String> =
        others.chain(jobs).map(|rows| format!("exists (select from {rows} tenant_id = $1)")).collect();
    let sql = format!("select {}", parts.join(" or "));
    let is_left: bool = sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenant_id.0).fetch_one(&mut *conn).await?;
    if is_left {
        return Ok(false);
    }
    sqlx::query!("delete from tenants where id = $1", tenant_id.0).execute(conn).await?;
    Ok(true)
}
