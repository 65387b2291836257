//! Lists of the audit log, with a cost that does not grow with it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::EntryRow;
use crate::ids::TenantId;

/// The most entries that a page looks at, for filters without an index.
const LOOKED_AT: i64 = 20_000;

/// A filter of entries. An absent field matches every entry.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Entries of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Entries whose action begins like this.
    pub action: Option<String>,
    /// Entries about objects of this type.
    pub object_type: Option<String>,
    /// Entries about this object.
    pub object_id: Option<String>,
    /// Entries of this actor.
    pub actor_id: Option<Uuid>,
    /// Entries of this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Entries from before this time.
    pub until: Option<DateTime<Utc>>,
    /// Entries older than this position, for pagination.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

/// One page of the audit log.
#[derive(Debug, Clone)]
pub struct EntryPage {
    /// The entries, newest first. May be few, or none, if few of those looked at match.
    pub entries: Vec<EntryRow>,
    /// The position of the next page.
    pub next: Option<(DateTime<Utc>, Uuid)>,
}

/// The part of a query that yields the entries that a page looks at. Its parameters are `$1` to
/// `$8`; an index serves each condition.
macro_rules! looked_at {
    ($select:literal, $and:literal, $macro:ident ! ($($row:ty,)?), $filter:expr, $($argument:expr),* $(,)?) => {
        sqlx::$macro!(
            $($row,)?
            $select + r#"
            from (
              select id, tenant_id, seq, actor_id, actor_kind, actor_name, action, object_type, object_id, details,
                remote_address, created_at
              from audit_log
              where ($1::uuid is null or tenant_id = $1)
                and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
                and ($4::timestamptz is null or created_at >= $4)
                and ($5::timestamptz is null or created_at < $5)
                and ($6::text is null or object_id = $6)
                and ($7::uuid is null or actor_id = $7)
              order by created_at desc, id desc
              limit $8
            ) looked_at
            "# + $and,
            $filter.tenant_id.map(|id| id.0),
            $filter.after.map(|(time, _)| time),
            $filter.after.map(|(_, id)| id),
            $filter.since,
            $filter.until,
            $filter.object_id,
            $filter.actor_id,
            LOOKED_AT,
            $($argument),*
        )
    };
}

/// Returns a page of entries, newest first.
pub async fn list(conn: &mut PgConnection, filter: &EntryFilter, limit: i64) -> Result<EntryPage, sqlx::Error> {
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *conn).await?;
    let entries = looked_at!(
        r#"
        select id, tenant_id as "tenant_id: TenantId", seq, actor_id, actor_kind, actor_name, action, object_type,
          object_id, details, remote_address, created_at
        "#,
        r#"
        where ($9::text is null or starts_with(action, $9))
          and ($10::text is null or object_type = $10)
        order by created_at desc, id desc
        limit $11
        "#,
        query_as!(EntryRow,),
        filter,
        filter.action,
        filter.object_type,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let next = if i64::try_from(entries.len()).unwrap_or(i64::MAX) >= limit {
        entries.last().map(|entry| (entry.created_at, entry.id))
    } else {
        let end = looked_at!(
            "select created_at, id",
            "order by created_at desc, id desc offset $8 - 1 limit 1",
            query!(),
            filter,
        );
        end.fetch_optional(conn).await?.map(|end| (end.created_at, end.id))
    };
    Ok(EntryPage { entries, next })
}
