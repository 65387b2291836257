//! The SQL of keys at other services.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::Service;
use crate::{
    ids::{AccountId, JobId, TenantId, TokenId},
    providers::{Provider, Workspace},
    queues,
    secrets::SecretLocation,
};

/// Returns the place where a key is stored.
#[must_use]
pub fn key_place(tenant_id: TenantId, id: Uuid) -> SecretLocation {
    SecretLocation { table: "service_keys", column: "secret", tenant_id, row_id: id }
}

/// A stored key.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct ServiceKeyRow {
    pub id: Uuid,
    pub secret: String,
    pub last_four: String,
    pub workspaces: Json<Vec<Workspace>>,
    pub workspace_id: Option<String>,
    pub refused_at: Option<DateTime<Utc>>,
    pub refusal: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Returns a tenant's key at a service.
pub async fn get(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    service: Service,
) -> Result<Option<ServiceKeyRow>, sqlx::Error> {
    sqlx::query_as!(
        ServiceKeyRow,
        r#"
        select id, secret, last_four, workspaces as "workspaces: Json<Vec<Workspace>>", workspace_id, refused_at,
          refusal, created_at
        from service_keys
        where tenant_id = $1 and service = $2
        "#,
        tenant_id.0,
        service as Service
    )
    .fetch_optional(conn)
    .await
}

/// Returns true if a tenant has a key at a service.
pub async fn has(conn: &mut PgConnection, tenant_id: TenantId, service: Service) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from service_keys where tenant_id = $1 and service = $2) as "has!""#,
        tenant_id.0,
        service as Service
    )
    .fetch_one(conn)
    .await
}

/// A key to insert.
#[derive(Debug)]
pub struct NewServiceKey<'a> {
    /// Its id.
    pub id: Uuid,
    /// The service.
    pub service: Service,
    /// The key, encrypted for its id.
    pub secret: &'a str,
    /// Its last characters.
    pub last_four: &'a str,
    /// The workspaces that it opens.
    pub workspaces: &'a [Workspace],
    /// The chosen one.
    pub workspace_id: Option<&'a str>,
}

/// Inserts a key.
pub async fn insert(conn: &mut PgConnection, tenant_id: TenantId, new: &NewServiceKey<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into service_keys (id, tenant_id, service, secret, last_four, workspaces, workspace_id)
        values ($1, $2, $3, $4, $5, $6, $7)
        ",
        new.id,
        tenant_id.0,
        new.service as Service,
        new.secret,
        new.last_four,
        Json(new.workspaces) as _,
        new.workspace_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a key. Returns true if there was one.
pub async fn delete(conn: &mut PgConnection, tenant_id: TenantId, service: Service) -> Result<bool, sqlx::Error> {
    let deleted =
        sqlx::query!("delete from service_keys where tenant_id = $1 and service = $2", tenant_id.0, service as Service)
            .execute(conn)
            .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Chooses a workspace of a key.
pub async fn set_workspace(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
    workspace_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update service_keys
        set workspace_id = $3, refused_at = null, refusal = null
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id,
        workspace_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks a key as refused. Returns true if it was not before, so that people are to be told.
pub async fn mark_refused(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
    refusal: &str,
) -> Result<bool, sqlx::Error> {
    let marked = sqlx::query!(
        "
        update service_keys
        set refused_at = engine_stamp(), refusal = $3
        where tenant_id = $1 and id = $2 and refused_at is null
        ",
        tenant_id.0,
        id,
        refusal
    )
    .execute(conn)
    .await?;
    Ok(marked.rows_affected() == 1)
}

/// Returns the key that a connection was made with, if it was made with one.
pub async fn find_of_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    token_id: TokenId,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "
        select key.id
        from oauth_tokens token
        join service_keys key
          on key.tenant_id = token.tenant_id and key.service = token.provider and key.workspace_id = token.subject_id
        where token.tenant_id = $1 and token.id = $2 and token.kind = 'user'
        ",
        tenant_id.0,
        token_id.0
    )
    .fetch_optional(conn)
    .await
}

/// A connection that was made with a key.
#[derive(Debug)]
pub struct KeyConnection {
    /// The token.
    pub token_id: TokenId,
    /// Its accounts that are not disconnected.
    pub accounts: Vec<AccountId>,
}

/// Returns the connections of a tenant at a provider, except the one to the workspace `kept`.
pub async fn list_connections(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    provider: Provider,
    kept: Option<&str>,
) -> Result<Vec<KeyConnection>, sqlx::Error> {
    sqlx::query_as!(
        KeyConnection,
        r#"
        select token.id as "token_id: TokenId",
          array(
            select account.id
            from social_accounts account
            where account.tenant_id = $1 and account.user_token_id = token.id and account.status <> 'disconnected'
          ) as "accounts!: Vec<AccountId>"
        from oauth_tokens token
        where token.tenant_id = $1 and token.provider = $2 and token.kind = 'user'
          and ($3::text is null or token.subject_id <> $3)
        "#,
        tenant_id.0,
        provider as Provider,
        kept
    )
    .fetch_all(conn)
    .await
}

/// Returns a tenant's jobs of AI that wait because its key was refused.
pub async fn list_blocked_jobs(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Vec<JobId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select id as "id: JobId"
        from jobs
        where tenant_id = $1 and queue = $2 and state = 'scheduled' and error ->> 'class' = 'reauth'
        order by created_at, id
        limit 1000
        "#,
        tenant_id.0,
        queues::AI.name()
    )
    .fetch_all(conn)
    .await
}
