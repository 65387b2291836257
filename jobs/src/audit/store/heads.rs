//! The heads of chains.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{audit::chain::Head, ids::TenantId};

/// A locked head: nobody else moves it before this transaction ends.
#[derive(Debug)]
pub(in crate::audit) struct LockedHead {
    pub(in crate::audit) head: Head,
    /// The time of the lock, which the following entries get.
    pub(in crate::audit) now: DateTime<Utc>,
}

/// Locks the heads of tenants one after the other, in the given order, and inserts missing ones.
///
/// If a chain has entries beyond its head, the head is returned with the last of them, and its MAC
/// no longer fits.
pub(in crate::audit) async fn lock_heads(
    conn: &mut PgConnection,
    tenants: &[TenantId],
) -> Result<Vec<LockedHead>, sqlx::Error> {
    let tenants: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = sqlx::query!(
        r#"
        insert into audit_heads as head (tenant_id, seq)
        select tenant_id, coalesce(
          (
            select seq
            from audit_log
            where audit_log.tenant_id = wanted.tenant_id and seq is not null
            order by seq desc
            limit 1
          ), 0)
        from unnest($1::uuid[]) with ordinality as wanted (tenant_id, place)
        order by place
        on conflict (tenant_id) do update
        set seq = greatest(head.seq, excluded.seq)
        returning tenant_id as "tenant_id: TenantId", seq, mac, anchored_seq, is_ending, key_id, head_mac,
          engine_stamp() as "now!"
        "#,
        &tenants
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| LockedHead {
            head: Head {
                tenant_id: row.tenant_id,
                seq: row.seq,
                mac: row.mac,
                anchored_seq: row.anchored_seq,
                is_ending: row.is_ending,
                key_id: row.key_id,
                head_mac: row.head_mac,
            },
            now: row.now,
        })
        .collect())
}

/// Updates locked heads.
pub(in crate::audit) async fn update_heads(conn: &mut PgConnection, heads: &[Head]) -> Result<(), sqlx::Error> {
    let tenants: Vec<Uuid> = heads.iter().map(|head| head.tenant_id.0).collect();
    let seqs: Vec<i64> = heads.iter().map(|head| head.seq).collect();
    let macs: Vec<Option<&[u8]>> = heads.iter().map(|head| head.mac.as_deref()).collect();
    let anchored: Vec<i64> = heads.iter().map(|head| head.anchored_seq).collect();
    let ending: Vec<bool> = heads.iter().map(|head| head.is_ending).collect();
    let keys: Vec<Option<&str>> = heads.iter().map(|head| head.key_id.as_deref()).collect();
    let head_macs: Vec<Option<&[u8]>> = heads.iter().map(|head| head.head_mac.as_deref()).collect();
    sqlx::query!(
        "
        update audit_heads as head
        set seq = new.seq, mac = new.mac, anchored_seq = new.anchored_seq, is_ending = new.is_ending,
          key_id = new.key_id, head_mac = new.head_mac
        from unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[], $5::boolean[], $6::text[], $7::bytea[])
          as new (tenant_id, seq, mac, anchored_seq, is_ending, key_id, head_mac)
        where head.tenant_id = new.tenant_id
        ",
        &tenants,
        &seqs,
        &macs as &[Option<&[u8]>],
        &anchored,
        &ending,
        &keys as &[Option<&str>],
        &head_macs as &[Option<&[u8]>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns the head of a tenant's chain.
pub(in crate::audit) async fn get_head(
    conn: &mut PgConnection,
    tenant_id: TenantId,
) -> Result<Option<Head>, sqlx::Error> {
    sqlx::query_as!(
        Head,
        r#"
        select tenant_id as "tenant_id: TenantId", seq, mac, anchored_seq, is_ending, key_id, head_mac
        from audit_heads
        where tenant_id = $1
        "#,
        tenant_id.0
    )
    .fetch_optional(conn)
    .await
}

/// Locks heads that the operators' chain does not have yet, by tenant. Heads that somebody else has
/// locked wait for the next round.
pub(in crate::audit) async fn list_moved_heads(
    conn: &mut PgConnection,
    after: TenantId,
    limit: i64,
) -> Result<Vec<Head>, sqlx::Error> {
    // The system tenant's id is the least possible one, so its own head is never among them.
    sqlx::query_as!(
        Head,
        r#"
        select tenant_id as "tenant_id: TenantId", seq, mac, anchored_seq, is_ending, key_id, head_mac
        from audit_heads
        where seq > anchored_seq and tenant_id > $1
        order by tenant_id
        limit $2
        for update skip locked
        "#,
        after.0,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Removes the head of an erased tenant.
pub(in crate::audit) async fn delete_head(conn: &mut PgConnection, tenant_id: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from audit_heads where tenant_id = $1", tenant_id.0).execute(conn).await?;
    Ok(())
}
