//! The SQL of tenants.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::TenantId;

/// A tenant.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct TenantRow {
    pub id: TenantId,
    pub name: String,
    pub email: Option<String>,
    pub plan: String,
    pub created_at: DateTime<Utc>,
}

/// Inserts a tenant; needs the system scope.
///
/// # Errors
/// The database refused.
pub async fn insert(conn: &mut PgConnection, name: &str, email: &str, plan: &str) -> Result<TenantRow, sqlx::Error> {
    sqlx::query_as!(
        TenantRow,
        r#"
        insert into tenants (id, name, email, plan)
        values ($1, $2, $3, $4)
        returning id as "id: TenantId", name, email, plan, created_at
        "#,
        TenantId::new().0,
        name,
        email,
        plan
    )
    .fetch_one(conn)
    .await
}

/// One tenant.
///
/// # Errors
/// The database refused.
pub async fn get(conn: &mut PgConnection, id: TenantId) -> Result<Option<TenantRow>, sqlx::Error> {
    sqlx::query_as!(
        TenantRow,
        r#"
        select id as "id: TenantId", name, email, plan, created_at
        from tenants
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// The tenants that this scope sees, newest first; the system's own is none.
///
/// # Errors
/// The database refused.
pub async fn list(
    conn: &mut PgConnection,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<TenantRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        TenantRow,
        r#"
        select id as "id: TenantId", name, email, plan, created_at
        from tenants
        where id <> $4 and ($1::timestamptz is null or (created_at, id) < ($1, $2))
        order by created_at desc, id desc
        limit $3
        "#,
        created_at,
        id,
        limit,
        TenantId::SYSTEM.0
    )
    .fetch_all(conn)
    .await
}
