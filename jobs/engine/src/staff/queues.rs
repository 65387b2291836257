//! What operators say about queues: paused or not, and limits.

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
}

/// Changes of limits: `None` leaves one as it is, `Some(None)` lifts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitChanges {
    /// Jobs of the queue that run or are about to.
    pub max_running: Option<Option<i32>>,
    /// The same for each tenant.
    pub max_per_tenant: Option<Option<i32>>,
    /// The same for each account.
    pub max_per_account: Option<Option<i32>>,
    /// Starts a minute on one account, or of one tenant without an account.
    pub max_per_minute: Option<Option<i32>>,
}

/// All queues, by name; needs the system scope, as everything here.
pub async fn list(tx: &mut Tx) -> Result<Vec<QueueRow>, sqlx::Error> {
    sqlx::query_as!(
        QueueRow,
        "
        select name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute
        from queues
        order by name
        "
    )
    .fetch_all(&mut **tx)
    .await
}

/// One queue, locked until the transaction ends.
pub async fn lock(tx: &mut Tx, name: &str) -> Result<Option<QueueRow>, sqlx::Error> {
    sqlx::query_as!(
        QueueRow,
        "
        select name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute
        from queues
        where name = $1
        for update
        ",
        name
    )
    .fetch_optional(&mut **tx)
    .await
}

/// Sets limits; answers the queue as it is now. A new rate counts at once: lanes that rest for the old one wake.
///
/// # Errors
/// The database refused; the queue is there if [`lock`] found it.
pub async fn set_limits(tx: &mut Tx, name: &str, changes: LimitChanges) -> Result<QueueRow, sqlx::Error> {
    let row = sqlx::query_as!(
        QueueRow,
        "
        update queues
        set max_running = case when $2 then $3 else max_running end,
          max_per_tenant = case when $4 then $5 else max_per_tenant end,
          max_per_account = case when $6 then $7 else max_per_account end,
          max_per_minute = case when $8 then $9 else max_per_minute end,
          updated_at = engine_stamp()
        where name = $1
        returning name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute
        ",
        name,
        changes.max_running.is_some(),
        changes.max_running.flatten(),
        changes.max_per_tenant.is_some(),
        changes.max_per_tenant.flatten(),
        changes.max_per_account.is_some(),
        changes.max_per_account.flatten(),
        changes.max_per_minute.is_some(),
        changes.max_per_minute.flatten()
    )
    .fetch_one(&mut **tx)
    .await?;
    if changes.max_per_minute.is_some() {
        sqlx::query!("delete from resting_lanes where queue = $1", name).execute(&mut **tx).await?;
    }
    tx.wake_after_commit();
    Ok(row)
}

/// Stops giving out a queue's jobs, or goes on; what runs is left to end. Answers the queue as it is now.
///
/// # Errors
/// As [`set_limits`].
pub async fn set_paused(tx: &mut Tx, name: &str, paused: bool) -> Result<QueueRow, sqlx::Error> {
    let row = sqlx::query_as!(
        QueueRow,
        "
        update queues
        set paused_at = case when $2 then coalesce(paused_at, engine_stamp()) end, updated_at = engine_stamp()
        where name = $1
        returning name, paused_at, max_running, max_per_tenant, max_per_account, max_per_minute
        ",
        name,
        paused
    )
    .fetch_one(&mut **tx)
    .await?;
    tx.wake_after_commit();
    Ok(row)
}
