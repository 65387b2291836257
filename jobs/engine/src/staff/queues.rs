//! Settings of queues that operators change: pauses and limits. All functions need the system
//! scope.

use chrono::{DateTime, Utc};

use crate::Tx;

/// A queue's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct QueueRow {
    pub name: String,
    pub paused_at: Option<DateTime<Utc>>,
    pub max_running: Option<i32>,
    pub max_per_tenant: Option<i32>,
    pub max_per_account: Option<i32>,
    pub max_per_minute: Option<i32>,
    pub rest_seconds: Option<i32>,
    pub shares_slots: bool,
}

/// Changes of limits. `None` keeps a limit, `Some(None)` removes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitChanges {
    /// The most jobs of the queue that may be running or released.
    pub max_running: Option<Option<i32>>,
    /// The same limit for each tenant.
    pub max_per_tenant: Option<Option<i32>>,
    /// The same limit for each account.
    pub max_per_account: Option<Option<i32>>,
    /// Starts per minute of each account, or of a tenant's jobs without an account.
    pub max_per_minute: Option<Option<i32>>,
    /// Seconds that a lane rests after an attempt.
    pub rest_seconds: Option<Option<i32>>,
}

/// Lists all queues by name.
pub async fn list(tx: &mut Tx) -> Result<Vec<QueueRow>, sqlx::Error> {
    sqlx::query_as!(
        QueueRow,
        "
        select name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute, rest_seconds,
          shares_slots
        from queues
        order by name
        "
    )
    .fetch_all(&mut **tx)
    .await
}

/// Reads one queue and locks it until the transaction ends. Returns `None` if it does not exist.
pub async fn lock(tx: &mut Tx, name: &str) -> Result<Option<QueueRow>, sqlx::Error> {
    sqlx::query_as!(
        QueueRow,
        "
        select name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute, rest_seconds,
          shares_slots
        from queues
        where name = $1
        for update
        ",
        name
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Sets limits and returns the queue's new settings. A new rate or rest counts at once: lanes that
/// rest for the old one wake.
///
/// # Errors
/// [`sqlx::Error::RowNotFound`] if the queue does not exist: call [`lock`] first.
pub async fn set_limits(tx: &mut Tx, name: &str, changes: LimitChanges) -> Result<QueueRow, sqlx::Error> {
    let row = sqlx::query_as!(
        QueueRow,
        "
        update queues
        set max_running = case when $2 then $3 else max_running end,
          max_per_tenant = case when $4 then $5 else max_per_tenant end,
          max_per_account = case when $6 then $7 else max_per_account end,
          max_per_minute = case when $8 then $9 else max_per_minute end,
          rest_seconds = case when $10 then $11 else rest_seconds end,
          updated_at = engine_stamp()
        where name = $1
        returning name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute, rest_seconds,
          shares_slots
        ",
        name,
        changes.max_running.is_some(),
        changes.max_running.flatten(),
        changes.max_per_tenant.is_some(),
        changes.max_per_tenant.flatten(),
        changes.max_per_account.is_some(),
        changes.max_per_account.flatten(),
        changes.max_per_minute.is_some(),
        changes.max_per_minute.flatten(),
        changes.rest_seconds.is_some(),
        changes.rest_seconds.flatten()
    )
    .fetch_one(&mut **tx)
    .await?;
    if changes.max_per_minute.is_some() || changes.rest_seconds.is_some() {
        sqlx::query!("delete from resting_lanes where queue = $1", name).execute(&mut **tx).await?;
    }
    tx.wake_after_commit();
    Ok(row)
}

/// Pauses or resumes a queue and returns the changed queue. Jobs that run are not stopped.
///
/// # Errors
/// [`sqlx::Error::RowNotFound`] if the queue does not exist: call [`lock`] first.
pub async fn set_paused(tx: &mut Tx, name: &str, paused: bool) -> Result<QueueRow, sqlx::Error> {
    let row = sqlx::query_as!(
        QueueRow,
        "
        update queues
        set paused_at = case when $2 then coalesce(paused_at, engine_stamp()) end, updated_at = engine_stamp()
        where name = $1
        returning name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute, rest_seconds,
          shares_slots
        ",
        name,
        paused
    )
    .fetch_one(&mut **tx)
    .await?;
    tx.wake_after_commit();
    Ok(row)
}
