//! The SQL of events.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Said;
use crate::{
    Attempt,
    ids::{JobId, TenantId},
};

/// Locks the row of an attempt, so that its events get consecutive numbers. Returns false if it is
/// no longer the latest.
pub(super) async fn lock(conn: &mut PgConnection, attempt: Attempt) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from jobs where id = $1 and attempt = $2 and state is not distinct from 'executing' for update",
        attempt.job_id.0,
        attempt.number
    )
    .fetch_optional(conn)
    .await
    .map(|row| row.is_some())
}

/// Locks the row without waiting. Returns false also if somebody else holds it.
pub(super) async fn lock_free(conn: &mut PgConnection, attempt: Attempt) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        "
        select id
        from jobs
        where id = $1 and attempt = $2 and state is not distinct from 'executing'
        for update skip locked
        ",
        attempt.job_id.0,
        attempt.number
    )
    .fetch_optional(conn)
    .await
    .map(|row| row.is_some())
}

/// Inserts events after the existing ones. Needs a lock taken by an earlier statement, so that it
/// sees all of them.
pub(super) async fn insert(conn: &mut PgConnection, attempt: Attempt, said: &[Said]) -> Result<(), sqlx::Error> {
    let levels: Vec<String> = said.iter().map(|said| said.level.to_owned()).collect();
    let messages: Vec<String> = said.iter().map(|said| said.message.clone()).collect();
    let done: Vec<Option<i64>> = said.iter().map(|said| said.done).collect();
    let total: Vec<Option<i64>> = said.iter().map(|said| said.total).collect();
    sqlx::query!(
        "
        insert into job_events (tenant_id, job_id, seq, attempt, level, message, done, total)
        select $1, $2, coalesce(last.seq, 0) + place, $3, level, message, done, total
        from (select max(seq) as seq from job_events where tenant_id = $1 and job_id = $2) last,
          unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[]) with ordinality
            as said (level, message, done, total, place)
        ",
        attempt.tenant_id.0,
        attempt.job_id.0,
        attempt.number,
        &levels,
        &messages,
        &done as &[Option<i64>],
        &total as &[Option<i64>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An event of a job.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct EventRow {
    pub seq: i32,
    pub attempt: i32,
    pub level: String,
    pub message: String,
    pub done: Option<i64>,
    pub total: Option<i64>,
    pub created_at: DateTime<Utc>,
}

/// Lists the events of a job after number `after`, oldest first.
pub async fn list_events(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
    after: i32,
    limit: i64,
) -> Result<Vec<EventRow>, sqlx::Error> {
    sqlx::query_as!(
        EventRow,
        "
        select seq, attempt, level, message, done, total, created_at
        from job_events
        where tenant_id = $1 and job_id = $2 and seq > $3
        order by seq
        limit $4
        ",
        tenant_id.0,
        id.0,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Lists the newest lines of a job's log, oldest first. Progress is left out.
pub async fn list_log(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
    limit: i64,
) -> Result<Vec<EventRow>, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        EventRow,
        "
        select seq, attempt, level, message, done, total, created_at
        from job_events
        where tenant_id = $1 and job_id = $2 and level <> 'progress'
        order by seq desc
        limit $3
        ",
        tenant_id.0,
        id.0,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// The progress that a job reported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct Progress {
    pub done: i64,
    pub total: i64,
    pub message: String,
}

/// Reads the last progress that a job reported.
pub async fn get_progress(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
) -> Result<Option<Progress>, sqlx::Error> {
    sqlx::query_as!(
        Progress,
        r#"
        select done as "done!", total as "total!", message
        from job_events
        where tenant_id = $1 and job_id = $2 and level = 'progress'
        order by seq desc
        limit 1
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}
