//! The ledger's row of one job.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    JobState,
    ids::{JobId, TenantId},
};

/// A job as the ledger shows it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct JobRow {
    pub id: JobId,
    pub tenant_id: TenantId,
    pub kind: String,
    pub queue: String,
    pub args: Value,
    pub state: JobState,
    pub priority: i16,
    pub account_id: Option<Uuid>,
    pub run_at: Option<DateTime<Utc>>,
    pub attempt: i32,
    pub failures: i32,
    pub crashes: i32,
    pub poison: i16,
    pub worker_id: Option<Uuid>,
    pub parent_id: Option<Uuid>,
    pub pending: i32,
    pub failed_children: i32,
    pub suspended_on: Option<String>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub result: Option<Value>,
    pub error: Option<Value>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Reads one job.
pub async fn get_job(conn: &mut PgConnection, id: JobId) -> Result<Option<JobRow>, sqlx::Error> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id!: JobId", tenant_id as "tenant_id!: TenantId", kind as "kind!", queue as "queue!", args as "args!",
          state as "state!: JobState", priority as "priority!", account_id, run_at, attempt as "attempt!", failures as "failures!",
          crashes as "crashes!", poison as "poison!", worker_id, parent_id, pending as "pending!",
          failed_children as "failed_children!", suspended_on, cancel_requested_at, result, error,
          created_at as "created_at!", started_at, ended_at
        from job_ledger
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}
