//! The SQL of the audit log.

mod check;
mod heads;
mod list;

pub(super) use check::{ChainRow, count_of_before, end_of, list_chain, list_tenants, list_unmet};
pub(super) use heads::{LockedHead, delete_head, get_head, list_moved_heads, lock_heads, update_heads};
pub use list::{EntryFilter, EntryPage, list};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Actor;
use crate::{ids::TenantId, secrets::Mac};

/// An entry with its place in the chain.
#[derive(Debug)]
pub(super) struct NewEntry {
    pub(super) id: Uuid,
    pub(super) tenant_id: TenantId,
    pub(super) seq: i64,
    pub(super) action: String,
    pub(super) object_type: &'static str,
    pub(super) object_id: String,
    pub(super) details: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) mac: Mac,
}

/// Inserts entries that [`super::append`] has signed. The tenants' heads are locked.
pub(super) async fn insert(conn: &mut PgConnection, actor: &Actor, entries: &[NewEntry]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id).collect();
    let tenants: Vec<Uuid> = entries.iter().map(|entry| entry.tenant_id.0).collect();
    let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    let types: Vec<&str> = entries.iter().map(|entry| entry.object_type).collect();
    let objects: Vec<&str> = entries.iter().map(|entry| entry.object_id.as_str()).collect();
    let details: Vec<&str> = entries.iter().map(|entry| entry.details.as_str()).collect();
    let times: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.created_at).collect();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.mac.key_id.as_str()).collect();
    let macs: Vec<&[u8]> = entries.iter().map(|entry| entry.mac.bytes.as_slice()).collect();
    sqlx::query!(
        "
        insert into audit_log
          (id, tenant_id, seq, actor_id, actor_kind, actor_name, remote_address, action, object_type, object_id, details,
          created_at, key_id, mac)
        select id, tenant_id, seq, $11, $12, $13, $14, action, object_type, object_id, details::json, created_at, key_id, mac
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::timestamptz[], $9::text[], $10::bytea[])
          as new (id, tenant_id, seq, action, object_type, object_id, details, created_at, key_id, mac)
        ",
        &ids,
        &tenants,
        &seqs,
        &actions as &[&str],
        &types as &[&str],
        &objects as &[&str],
        &details as &[&str],
        &times,
        &keys as &[&str],
        &macs as &[&[u8]],
        actor.id,
        actor.kind.name(),
        actor.name,
        actor.remote_address
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes up to `limit` entries of a tenant that is being erased. Returns their number.
pub(super) async fn delete_some(conn: &mut PgConnection, tenant_id: TenantId, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "
        delete from audit_log
        where id in (
          select id
          from audit_log
          where tenant_id = $1
          limit $2
        )
        ",
        tenant_id.0,
        limit
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}

/// Allows rows of this tenant's chain to be removed in this transaction; `None` ends that.
pub(super) async fn allow_removal(conn: &mut PgConnection, tenant_id: Option<TenantId>) -> Result<(), sqlx::Error> {
    let tenant_id = tenant_id.map(|id| id.to_string()).unwrap_or_default();
    sqlx::query!("select set_config('app.erasing_tenant', $1, true) as allowed", tenant_id).fetch_one(conn).await?;
    Ok(())
}

/// An entry as stored.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct EntryRow {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub seq: Option<i64>,
    pub actor_id: Uuid,
    pub actor_kind: String,
    pub actor_name: String,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    pub details: Value,
    pub remote_address: Option<String>,
    pub created_at: DateTime<Utc>,
}
