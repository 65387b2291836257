//! The SQL of the audit log.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Actor, Entry};
use crate::ids::TenantId;

/// Adds entries; the scope must see their tenants.
///
/// # Errors
/// The database refused.
pub async fn insert(conn: &mut PgConnection, actor: &Actor, entries: &[Entry]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = entries.iter().map(|_| Uuid::now_v7()).collect();
    let tenants: Vec<Uuid> = entries.iter().map(|entry| entry.tenant_id.0).collect();
    let actions: Vec<String> = entries.iter().map(|entry| entry.action.clone()).collect();
    let types: Vec<String> = entries.iter().map(|entry| entry.object_type.to_owned()).collect();
    let objects: Vec<String> = entries.iter().map(|entry| entry.object_id.clone()).collect();
    let details: Vec<Value> = entries.iter().map(|entry| entry.details.clone()).collect();
    sqlx::query!(
        "
        insert into audit_log
          (id, tenant_id, actor_id, actor_name, remote_address, action, object_type, object_id, details)
        select id, tenant_id, $7, $8, $9, action, object_type, object_id, details
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
          as new (id, tenant_id, action, object_type, object_id, details)
        ",
        &ids,
        &tenants,
        &actions,
        &types,
        &objects,
        &details,
        actor.key_id,
        actor.name,
        actor.remote_address
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An entry as stored.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct EntryRow {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub actor_id: Uuid,
    pub actor_name: String,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    pub details: Value,
    pub remote_address: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// The entries of one tenant, or of all, newest first.
///
/// # Errors
/// The database refused.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: Option<TenantId>,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<EntryRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *conn).await?;
    sqlx::query_as!(
        EntryRow,
        r#"
        select id, tenant_id as "tenant_id: TenantId", actor_id, actor_name, action, object_type, object_id, details,
          remote_address, created_at
        from audit_log
        where ($1::uuid is null or tenant_id = $1)
          and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
        order by created_at desc, id desc
        limit $4
        "#,
        tenant_id.map(|id| id.0),
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}
