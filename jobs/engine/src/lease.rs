//! Leases of worker processes: one row a process in `workers`, renewed on its own connection.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use uuid::Uuid;

use super::{Attempt, Db};
use crate::ids::{JobId, WorkerId};

/// A process's description of itself.
#[derive(Debug, Clone)]
pub struct Registration {
    /// A name for people: host and process number.
    pub name: String,
    /// Slots by queue.
    pub queues: BTreeMap<&'static str, usize>,
    /// The kinds that it runs.
    pub kinds: Vec<String>,
    /// The time that it counts as alive without a renewal.
    pub lease: Duration,
}

/// The result of a renewal.
#[derive(Debug, Default)]
pub struct Renewal {
    /// False if the lease had expired. An expired lease is not renewed: the process takes a new id.
    pub is_alive: bool,
    /// True if the lease had expired by the database's clock only: the clock was set ahead.
    pub was_overtaken: bool,
    /// Active attempts that a later attempt replaced, or that another process settled.
    pub superseded: Vec<JobId>,
    /// Active attempts whose job is to be cancelled.
    pub cancelled: Vec<JobId>,
}

/// Registers a process under a new id.
pub async fn register(db: &Db, registration: &Registration) -> Result<WorkerId, sqlx::Error> {
    let id = WorkerId::new();
    let mut tx = db.system().await?;
    sqlx::query!(
        "
        insert into workers (id, name, queues, kinds, expires_at)
        values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
        ",
        id.0,
        registration.name,
        json!(registration.queues),
        &registration.kinds,
        registration.lease.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// Renews a lease and compares `active` with the database.
///
/// Hands back attempts that the database counts to this process but that are not in `active`, at no
/// cost. They come from claims whose response was lost. Only attempts that started more than
/// `previous` ago are handed back.
///
/// `stands` says that the lease stands by the process' own clock. It is renewed then even if it has
/// expired by the database's, whose clock was set ahead. What was rescued meanwhile is superseded.
pub async fn renew(
    db: &Db,
    id: WorkerId,
    lease: Duration,
    stands: bool,
    active: &[Attempt],
    previous: Duration,
) -> Result<Renewal, sqlx::Error> {
    let mut tx = db.system().await?;
    let renewed = sqlx::query_scalar!(
        r#"
        with mine as (
          select id, expires_at <= clock_timestamp() as is_over
          from workers
          where id = $1
          for update
        )
        update workers
        set renewed_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => $2)
        from mine
        where workers.id = mine.id and ($3 or not mine.is_over)
        returning mine.is_over as "is_over!"
        "#,
        id.0,
        lease.as_secs_f64(),
        stands
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(was_overtaken) = renewed else {
        return Ok(Renewal::default());
    };
    let (ids, attempts): (Vec<Uuid>, Vec<i32>) = active.iter().map(|a| (a.job_id.0, a.number)).unzip();
    let rows = sqlx::query!(
        r#"
        select mine.id as "id!: JobId", j.id is null as "superseded!",
          coalesce(j.cancel_requested_at is not null, false) as "cancelled!"
        from unnest($1::uuid[], $2::int[]) as mine (id, attempt)
        left join jobs j on j.id = mine.id and j.attempt = mine.attempt and j.state is not distinct from 'executing'
        where j.id is null or j.cancel_requested_at is not null
        "#,
        &ids,
        &attempts
    )
    .fetch_all(&mut *tx)
    .await?;
    // By a clock that was set ahead, claims on their way look old.
    if !was_overtaken {
        hand_back_strays(&mut tx, id, &ids, previous).await?;
    }
    tx.commit().await?;
    Ok(Renewal {
        is_alive: true,
        was_overtaken,
        superseded: rows.iter().filter(|row| row.superseded).map(|row| row.id).collect(),
        cancelled: rows.iter().filter(|row| row.cancelled).map(|row| row.id).collect(),
    })
}

async fn hand_back_strays(
    tx: &mut super::Tx,
    id: WorkerId,
    active: &[Uuid],
    since: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update jobs
        set state = 'available', worker_id = null
        where id in (
          select id
          from jobs
          where worker_id = $1
            and state = 'executing'
            and id <> all($2)
            and started_at < engine_stamp() - make_interval(secs => $3)
          order by depth desc, id
          for update skip locked
        )
        ",
        id.0,
        active,
        since.as_secs_f64()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Moves executing jobs from a process's expired id to its new one. Jobs that were rescued
/// meanwhile stay away.
pub async fn take_over(db: &Db, from: WorkerId, to: WorkerId) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!(
        "
        update jobs
        set worker_id = $2
        where id in (
          select id
          from jobs
          where worker_id = $1 and state = 'executing'
          order by depth desc, id
          for update skip locked
        )
        ",
        from.0,
        to.0
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("update workers set stopped_at = clock_timestamp() where id = $1", from.0).execute(&mut *tx).await?;
    tx.commit().await
}

/// Ends a lease. Attempts that the process still executes are orphaned at once.
pub async fn deregister(db: &Db, id: WorkerId) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    sqlx::query!(
        "update workers set expires_at = clock_timestamp(), stopped_at = clock_timestamp() where id = $1",
        id.0
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Counts the processes that are alive.
pub(super) async fn count_live(db: &Db) -> Result<u32, sqlx::Error> {
    let mut tx = db.system().await?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from workers where clock_timestamp() between renewed_at and expires_at"#
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
