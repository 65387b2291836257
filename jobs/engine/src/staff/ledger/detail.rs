//! Details of one job: its attempts, effects and children.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{JobFilter, JobRow, list_jobs};
use crate::{
    AttemptOutcome, EffectState, JobState,
    ids::{JobId, TenantId},
};

/// The most children that are shown with their parent.
const SHOWN_CHILDREN: i64 = 100;

/// The most children that are counted.
const COUNTED_CHILDREN: i64 = 20_000;

/// An attempt that did not complete its job.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct AttemptRow {
    pub attempt: i32,
    pub outcome: AttemptOutcome,
    pub error: Option<Value>,
    pub worker_id: Option<Uuid>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: DateTime<Utc>,
    pub looks: i32,
}

/// Lists the attempts that did not complete a job: the newest 100, oldest first.
pub async fn list_attempts(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
) -> Result<Vec<AttemptRow>, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        AttemptRow,
        r#"
        select attempt, outcome as "outcome: AttemptOutcome", error, worker_id, started_at, ended_at, looks
        from job_attempts
        where tenant_id = $1 and job_id = $2
        order by attempt desc
        limit 100
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_all(conn)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// A call that the outside world sees.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct EffectRow {
    pub id: Uuid,
    pub account_id: Option<Uuid>,
    pub key: String,
    pub operation: String,
    pub state: EffectState,
    pub attempt: i32,
    pub sent_at: Option<DateTime<Utc>>,
    pub remote_id: Option<String>,
    pub facts: Value,
    pub evidence: Value,
    pub looks: i32,
    pub complete_looks: i32,
}

/// Lists the effects of a job, oldest first, 100 at most.
pub async fn list_effects(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: JobId,
) -> Result<Vec<EffectRow>, sqlx::Error> {
    sqlx::query_as!(
        EffectRow,
        r#"
        select id, account_id, key, operation, state as "state: EffectState", attempt, sent_at, remote_id, facts, evidence, looks, complete_looks
        from effects
        where tenant_id = $1 and job_id = $2
        order by created_at, id
        limit 100
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_all(conn)
    .await
}

/// The children of a job.
#[derive(Debug, Clone)]
pub struct Children {
    /// The newest hundred.
    pub newest: Vec<JobRow>,
    /// The number of children by state, of the first 20,000.
    pub counts: Vec<(JobState, i64)>,
}

/// Reads the children of a job.
pub async fn children(conn: &mut PgConnection, tenant_id: TenantId, id: JobId) -> Result<Children, sqlx::Error> {
    let counts = sqlx::query!(
        r#"
        select state as "state!: JobState", count(*) as "count!"
        from (select state from job_ledger where tenant_id = $1 and parent_id = $2 limit $3) children
        group by state
        order by state
        "#,
        tenant_id.0,
        id.0,
        COUNTED_CHILDREN
    )
    .fetch_all(&mut *conn)
    .await?;
    if counts.is_empty() {
        return Ok(Children { newest: Vec::new(), counts: Vec::new() });
    }
    let filter = JobFilter { tenant_id: Some(tenant_id), parent_id: Some(id), ..JobFilter::default() };
    let newest = list_jobs::<()>(conn, &[], &filter, SHOWN_CHILDREN).await?.jobs;
    Ok(Children { newest, counts: counts.into_iter().map(|row| (row.state, row.count)).collect() })
}
