//! Workers and the jobs that they run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    Tx,
    ids::{JobId, TenantId},
};

/// The most workers that are listed.
const MAX_WORKERS: i64 = 500;

/// The most running jobs that are listed.
const MAX_RUNNING: i64 = 10_000;

/// A worker process.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct WorkerRow {
    pub id: Uuid,
    pub name: String,
    /// Slots by queue.
    pub queues: Json<BTreeMap<String, i64>>,
    pub kinds: Vec<String>,
    pub started_at: DateTime<Utc>,
    /// Seconds since the last renewal of its lease.
    pub heartbeat_seconds: f64,
    /// The length of a lease in seconds.
    pub lease_seconds: f64,
    /// True if its lease is valid.
    pub is_alive: bool,
    /// True if it stopped by itself, or goes on under another id.
    pub has_stopped: bool,
}

/// Lists the workers, those that are alive first. Dead ones are deleted after an hour.
pub async fn list_workers(tx: &mut Tx) -> Result<Vec<WorkerRow>, sqlx::Error> {
    sqlx::query_as!(
        WorkerRow,
        r#"
        select id, name, queues as "queues: Json<BTreeMap<String, i64>>", kinds, started_at,
          extract(epoch from clock_timestamp() - renewed_at)::float8 as "heartbeat_seconds!",
          greatest(0, extract(epoch from expires_at - renewed_at))::float8 as "lease_seconds!",
          clock_timestamp() between renewed_at and expires_at as "is_alive!", stopped_at is not null as "has_stopped!"
        from workers
        order by clock_timestamp() between renewed_at and expires_at desc, renewed_at desc
        limit $1
        "#,
        MAX_WORKERS
    )
    .fetch_all(&mut **tx)
    .await
}

/// A job that runs.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct Running {
    pub id: JobId,
    pub tenant_id: TenantId,
    pub worker_id: Uuid,
    pub kind: String,
    pub queue: String,
    pub attempt: i32,
    pub started_at: Option<DateTime<Utc>>,
}

/// Lists the running jobs, the longest-running first.
pub async fn list_running(tx: &mut Tx) -> Result<Vec<Running>, sqlx::Error> {
    sqlx::query_as!(
        Running,
        r#"
        select id as "id: JobId", tenant_id as "tenant_id: TenantId", worker_id as "worker_id!", kind, queue, attempt, started_at
        from jobs
        where state = 'executing'
        order by started_at
        limit $1
        "#,
        MAX_RUNNING
    )
    .fetch_all(&mut **tx)
    .await
}
