//! Periodic jobs. The list is in code; the table `periodic` mirrors it and stores the last tick of
//! each entry.
//!
//! The leader looks every second. It takes a tick by a compare-and-set in the transaction that
//! enqueues the job, so each tick is taken once with any number of leaders. After a downtime only
//! the latest tick is caught up on.
//!
//! The unique key of the job is the entry's name. If such a job still waits, no second one is made;
//! if it runs, it runs once more afterwards.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use croner::Cron;
use serde_json::json;
use sqlx::PgConnection;

use super::{
    Db, EnqueueError, Enqueued, Job, KindSpec, NewJob, Tx,
    failpoint::{self, Failpoint},
};
use crate::ids::TenantId;

/// An entry: a kind of job that the clock enqueues, in the system tenant and without payload (a
/// reconciler).
#[derive(Debug, Clone, Copy)]
pub struct Periodic {
    /// The entry's name, which is also the unique key of its jobs.
    pub name: &'static str,
    /// The schedule in five fields (minute, hour, day, month, weekday), UTC.
    pub cron: &'static str,
    /// The kind of its jobs. The payload is `{}`.
    pub kind: KindSpec,
}

impl Periodic {
    /// Makes an entry that enqueues a `J` at the ticks of `cron`.
    #[must_use]
    pub const fn of<J: Job>(name: &'static str, cron: &'static str) -> Self {
        Self { name, cron, kind: KindSpec::of::<J>() }
    }

    fn job(&self) -> NewJob {
        NewJob::of_kind(TenantId::SYSTEM, &self.kind, json!({})).expect("a periodic kind takes {}").keyed(self.name)
    }
}

/// Returns the first tick of a cron expression after `time`, if there is one.
#[must_use]
pub fn next_tick(cron: &str, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Cron::from_str(cron).ok()?.find_next_occurrence(&time, false).ok()
}

/// Returns the latest tick up to `now`, if it came after `last`.
fn due_tick(cron: &str, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let tick = Cron::from_str(cron).ok()?.find_previous_occurrence(&now, true).ok()?;
    (tick > last).then_some(tick)
}

/// Enqueues the jobs that are due and returns their number. A new leader's first call also mirrors
/// the list.
pub async fn tick(db: &Db, list: &[Periodic], is_first: bool) -> Result<usize, sqlx::Error> {
    if is_first {
        mirror(db, list).await?;
    }
    let mut tx = db.system().await?;
    let rows = sqlx::query!(r#"select name, last_tick, engine_now() as "now!" from periodic where paused_at is null"#)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let mut taken = 0;
    for row in rows {
        let Some(periodic) = list.iter().find(|periodic| periodic.name == row.name) else {
            continue;
        };
        if let Some(tick) = due_tick(periodic.cron, row.last_tick, row.now) {
            taken += usize::from(take(db, periodic, tick).await?);
        }
    }
    Ok(taken)
}

/// Writes the list into the table. New entries wait for their next tick; entries that left the code
/// are deleted.
async fn mirror(db: &Db, list: &[Periodic]) -> Result<(), sqlx::Error> {
    let names: Vec<String> = list.iter().map(|periodic| periodic.name.to_owned()).collect();
    let kinds: Vec<String> = list.iter().map(|periodic| periodic.kind.name.to_owned()).collect();
    let crons: Vec<String> = list.iter().map(|periodic| periodic.cron.to_owned()).collect();
    let mut tx = db.system().await?;
    sqlx::query!(
        "
        with gone as (
          delete from periodic where name <> all($1)
        )
        insert into periodic as mirrored (name, kind, cron)
        select name, kind, cron
        from unnest($1::text[], $2::text[], $3::text[]) as coded (name, kind, cron)
        order by name
        on conflict (name) do update set kind = excluded.kind, cron = excluded.cron
        where (mirrored.kind, mirrored.cron) <> (excluded.kind, excluded.cron)
        ",
        &names,
        &kinds,
        &crons
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Takes a tick and enqueues its job. Returns false if another leader took it, or if the entry is
/// paused.
async fn take(db: &Db, periodic: &Periodic, tick: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    failpoint::reach(Failpoint::BeforeTick);
    let mut tx = db.system().await?;
    let taken = sqlx::query!(
        "update periodic set last_tick = $2 where name = $1 and last_tick < $2 and paused_at is null",
        periodic.name,
        tick
    )
    .execute(&mut *tx)
    .await?;
    if taken.rows_affected() == 0 {
        return Ok(false);
    }
    match tx.enqueue(periodic.job()).await {
        Ok(_) => {}
        Err(EnqueueError::Database(error)) => return Err(error),
        Err(error @ (EnqueueError::Suspended { .. } | EnqueueError::ParentCancelled)) => {
            tracing::warn!(name = periodic.name, %tick, %error, "a tick passes: its last job has not ended");
        }
    }
    tx.commit().await?;
    Ok(true)
}

/// An entry in the table.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct PeriodicRow {
    pub name: String,
    pub kind: String,
    pub cron: String,
    pub last_tick: DateTime<Utc>,
    pub paused_at: Option<DateTime<Utc>>,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

/// Lists the entries by name.
pub async fn list_periodic(conn: &mut PgConnection) -> Result<Vec<PeriodicRow>, sqlx::Error> {
    sqlx::query_as!(
        PeriodicRow,
        r#"select name, kind, cron, last_tick, paused_at, engine_now() as "now!" from periodic order by name"#
    )
    .fetch_all(conn)
    .await
}

/// Pauses or resumes an entry. After a pause the latest missed tick is caught up on. Returns `None`
/// if there is no such entry.
pub async fn set_paused(conn: &mut PgConnection, name: &str, paused: bool) -> Result<Option<PeriodicRow>, sqlx::Error> {
    sqlx::query_as!(
        PeriodicRow,
        r#"
        update periodic
        set paused_at = case when $2 then coalesce(paused_at, engine_stamp()) end
        where name = $1
        returning name, kind, cron, last_tick, paused_at, engine_now() as "now!"
        "#,
        name,
        paused
    )
    .fetch_optional(conn)
    .await
}

/// Reads an entry and locks it until the transaction ends.
pub async fn lock(conn: &mut PgConnection, name: &str) -> Result<Option<PeriodicRow>, sqlx::Error> {
    sqlx::query_as!(
        PeriodicRow,
        r#"
        select name, kind, cron, last_tick, paused_at, engine_now() as "now!"
        from periodic
        where name = $1
        for update
        "#,
        name
    )
    .fetch_optional(conn)
    .await
}

/// Enqueues the job of an entry now, even if it is paused. No tick is taken. Returns `None` if
/// there is no such entry.
///
/// # Errors
/// As [`Tx::enqueue`].
pub async fn run_now(tx: &mut Tx, list: &[Periodic], name: &str) -> Result<Option<Enqueued>, EnqueueError> {
    match list.iter().find(|periodic| periodic.name == name) {
        Some(periodic) => tx.enqueue(periodic.job()).await.map(Some),
        None => Ok(None),
    }
}
