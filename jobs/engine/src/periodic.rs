//! Work that the clock asks for. The list is in code; the table `periodic` mirrors it and says which tick was taken last.
//!
//! The leader looks every second. Taking a tick is a compare-and-set in the transaction that enqueues its job, so each tick
//! is taken once with any number of leaders; after a downtime only the latest is caught up on. The unique key of the job
//! is the name: one that still waits is not made twice, one that still runs runs once more.

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

/// A kind of job that the clock enqueues, in the system tenant and without payload: a reconciler.
#[derive(Debug, Clone, Copy)]
pub struct Periodic {
    /// Its name, and the unique key of its jobs.
    pub name: &'static str,
    /// When: five fields (minute, hour, day, month, weekday), UTC.
    pub cron: &'static str,
    /// What: its payload is `{}`.
    pub kind: KindSpec,
}

impl Periodic {
    /// Enqueues a `J` at the ticks of `cron`.
    #[must_use]
    pub const fn of<J: Job>(name: &'static str, cron: &'static str) -> Self {
        Self { name, cron, kind: KindSpec::of::<J>() }
    }

    fn job(&self) -> NewJob {
        NewJob::of_kind(TenantId::SYSTEM, &self.kind, json!({})).expect("a periodic kind takes {}").keyed(self.name)
    }
}

/// The first tick of a cron expression after `time`; none if there is none.
#[must_use]
pub fn next_tick(cron: &str, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Cron::from_str(cron).ok()?.find_next_occurrence(&time, false).ok()
}

/// The latest tick up to `now`, if it came after `last`.
fn due_tick(cron: &str, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let tick = Cron::from_str(cron).ok()?.find_previous_occurrence(&now, true).ok()?;
    (tick > last).then_some(tick)
}

/// Enqueues what is due; answers how many. The first time that a leader ticks it also mirrors the list.
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

/// Writes the list into the table. What is new waits for its next tick; what is gone from the code goes.
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

/// Takes a tick; false if somebody else did, or paused it.
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

/// A row of the list.
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

/// The list, by name.
pub async fn list_periodic(conn: &mut PgConnection) -> Result<Vec<PeriodicRow>, sqlx::Error> {
    sqlx::query_as!(
        PeriodicRow,
        r#"select name, kind, cron, last_tick, paused_at, engine_now() as "now!" from periodic order by name"#
    )
    .fetch_all(conn)
    .await
}

/// Pauses an entry, or has it go on: then the latest tick that passed meanwhile is caught up on. `None`: there is no such.
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

/// An entry, locked until the transaction ends.
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

/// Enqueues the job of an entry now, also of a paused one; no tick is taken. `None`: there is no such entry.
///
/// # Errors
/// As [`Tx::enqueue`].
pub async fn run_now(tx: &mut Tx, list: &[Periodic], name: &str) -> Result<Option<Enqueued>, EnqueueError> {
    match list.iter().find(|periodic| periodic.name == name) {
        Some(periodic) => tx.enqueue(periodic.job()).await.map(Some),
        None => Ok(None),
    }
}
