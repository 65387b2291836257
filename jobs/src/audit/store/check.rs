//! The queries of the verification. Each statement sees one moment. No stored value, however it was
//! forged, makes a statement fail.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    audit::chain::{Head, Sealed},
    ids::TenantId,
};

/// An entry that claims a place in a chain.
#[derive(Debug)]
pub(in crate::audit) struct ChainRow {
    pub(in crate::audit) tenant_id: TenantId,
    pub(in crate::audit) seq: i64,
    id: Uuid,
    /// `None` if the time is infinite.
    created_at_us: Option<i64>,
    actor_id: Uuid,
    actor_kind: String,
    actor_name: String,
    remote_address: Option<String>,
    pub(in crate::audit) action: String,
    object_type: String,
    pub(in crate::audit) object_id: String,
    pub(in crate::audit) details: String,
    pub(in crate::audit) key_id: Option<String>,
    pub(in crate::audit) mac: Option<Vec<u8>>,
}

impl ChainRow {
    /// Returns the columns that its MAC should cover.
    pub(in crate::audit) fn sealed(&self) -> Option<Sealed<'_>> {
        self.created_at_us.map(|created_at_us| Sealed {
            tenant_id: self.tenant_id,
            seq: self.seq,
            id: self.id,
            created_at_us,
            actor_id: self.actor_id,
            actor_kind: &self.actor_kind,
            actor_name: &self.actor_name,
            remote_address: self.remote_address.as_deref(),
            action: &self.action,
            object_type: &self.object_type,
            object_id: &self.object_id,
            details: &self.details,
        })
    }
}

/// Returns the entries of a tenant's chain after `after`, up to `until`.
pub(in crate::audit) async fn list_chain(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<ChainRow>, sqlx::Error> {
    sqlx::query_as!(
        ChainRow,
        r#"
        select tenant_id as "tenant_id: TenantId", seq as "seq!", id,
          case when isfinite(created_at) then (extract(epoch from created_at) * 1000000)::bigint end as created_at_us,
          actor_id, actor_kind, actor_name, remote_address, action, object_type, object_id, details::text as "details!",
          key_id, mac
        from audit_log
        where tenant_id = $1 and seq > $2 and seq <= $3
        order by seq
        limit $4
        "#,
        tenant_id.0,
        after,
        until,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Returns the end of a tenant's chain at one moment, both by its head and by its last entry.
pub(in crate::audit) async fn end_of(
    conn: &mut PgConnection,
    tenant_id: TenantId,
) -> Result<(Option<Head>, Option<i64>), sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select head.tenant_id as "tenant_id?: TenantId", head.seq as "seq?", head.mac as "mac?",
          head.anchored_seq as "anchored_seq?", head.is_ending as "is_ending?", head.key_id as "key_id?",
          head.head_mac as "head_mac?",
          (
            select seq
            from audit_log
            where tenant_id = $1 and seq is not null
            order by seq desc
            limit 1
          ) as last_seq
        from (select) as one
        left join audit_heads as head on head.tenant_id = $1
        "#,
        tenant_id.0
    )
    .fetch_one(conn)
    .await?;
    let head = match (row.tenant_id, row.seq, row.anchored_seq, row.is_ending) {
        (Some(tenant_id), Some(seq), Some(anchored_seq), Some(is_ending)) => Some(Head {
            tenant_id,
            seq,
            mac: row.mac,
            anchored_seq,
            is_ending,
            key_id: row.key_id,
            head_mac: row.head_mac,
        }),
        (_, _, _, _) => None,
    };
    Ok((head, row.last_seq))
}

/// Returns the number of a tenant's entries outside the chain, and how many of them claim to be
/// younger than its beginning.
pub(in crate::audit) async fn count_of_before(
    conn: &mut PgConnection,
    tenant_id: TenantId,
) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select count(*) as "count!",
          count(*) filter (where created_at > (
            select created_at
            from audit_log
            where tenant_id = $1 and seq is not null
            order by seq
            limit 1
          )) as "late!"
        from audit_log
        where tenant_id = $1 and seq is null
        "#,
        tenant_id.0
    )
    .fetch_one(conn)
    .await?;
    Ok((row.count, row.late))
}

/// Returns the tenants that have entries or a head, by id.
pub(in crate::audit) async fn list_tenants(
    conn: &mut PgConnection,
    after: TenantId,
    limit: i64,
) -> Result<Vec<TenantId>, sqlx::Error> {
    // One index probe per tenant, however many entries each has.
    sqlx::query_scalar!(
        r#"
        with recursive with_entries as (
          (
            select tenant_id, 1::bigint as place
            from audit_log
            where tenant_id > $1
            order by tenant_id
            limit 1
          )
          union all
          select next.tenant_id, place + 1
          from with_entries
          cross join lateral (
            select tenant_id
            from audit_log
            where audit_log.tenant_id > with_entries.tenant_id
            order by tenant_id
            limit 1
          ) as next
          where place < $2
        ),
        with_head as (
          select tenant_id
          from audit_heads
          where tenant_id > $1
          order by tenant_id
          limit $2
        )
        select tenant_id as "tenant_id!: TenantId"
        from (select tenant_id from with_entries union select tenant_id from with_head) as found
        order by tenant_id
        limit $2
        "#,
        after.0,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Returns the given ends of chains that are no longer at their place.
pub(in crate::audit) async fn list_unmet(
    conn: &mut PgConnection,
    tenants: &[Uuid],
    seqs: &[i64],
    macs: &[Vec<u8>],
) -> Result<Vec<(TenantId, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select wanted.tenant_id as "tenant_id!: TenantId", wanted.seq as "seq!"
        from unnest($1::uuid[], $2::bigint[], $3::bytea[]) as wanted (tenant_id, seq, mac)
        left join audit_log on audit_log.tenant_id = wanted.tenant_id and audit_log.seq = wanted.seq
        where audit_log.mac is distinct from wanted.mac
        "#,
        tenants,
        seqs,
        macs
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.seq)).collect())
}
