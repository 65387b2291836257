//! Fills and reads the ledger with SQL, bypassing the engine.

use std::str::FromStr as _;

use jobs::ids::TenantId;
use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;
use uuid::Uuid;

/// Opens connections that see all tenants.
pub(crate) async fn connect(url: &Url) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url.as_str())?.options([("app.scope", "system")]);
    PgPoolOptions::new().max_connections(2).connect_with(options).await
}

/// Creates tenants.
pub(crate) async fn insert_tenants(conn: &mut PgConnection, count: u32) -> Result<Vec<TenantId>, sqlx::Error> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    sqlx::query!(
        "insert into tenants (id, name, plan) select id, 'bench', 'basic' from unnest($1::uuid[]) as new (id)",
        &ids
    )
    .execute(conn)
    .await?;
    Ok(ids.into_iter().map(TenantId).collect())
}

/// Returns the first `limit` tenants created here, in that order.
pub(crate) async fn list_tenants(conn: &mut PgConnection, limit: usize) -> Result<Vec<TenantId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select id as "id: TenantId" from tenants where name = 'bench' order by id limit $1"#,
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(conn)
    .await
}

/// Inserts due no-ops, round-robin over the tenants.
pub(crate) async fn insert_due(conn: &mut PgConnection, tenants: &[TenantId], count: u32) -> Result<(), sqlx::Error> {
    insert_jobs(conn, tenants, count, 0).await
}

/// Inserts no-ops that are due one a second from tomorrow on, round-robin over the tenants.
pub(crate) async fn insert_scheduled(
    conn: &mut PgConnection,
    tenants: &[TenantId],
    count: u32,
) -> Result<(), sqlx::Error> {
    insert_jobs(conn, tenants, count, 24).await
}

/// Inserts jobs whose ids rise with time, as those of the engine do.
async fn insert_jobs(
    conn: &mut PgConnection,
    tenants: &[TenantId],
    count: u32,
    after_hours: i32,
) -> Result<(), sqlx::Error> {
    let tenants: Vec<Uuid> = tenants.iter().map(|id| id.0).collect();
    sqlx::query!(
        "
        insert into jobs (id, tenant_id, kind, queue, args, state, run_at, due_at)
        select
          (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint - $2 + number), 12, '0')
            || '7' || substr(md5(number::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
          ($1::uuid[])[1 + number % cardinality($1)], 'noop', 'default', '{}',
          case when $3::int = 0 then 'available' else 'scheduled' end, due_at, due_at
        from (
          select number, engine_now() + make_interval(hours => $3::int, secs => sign($3::int) * number) as due_at
          from generate_series(1, $2::bigint) as number
        ) due
        ",
        &tenants,
        i64::from(count),
        after_hours
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Inserts no-ops into the history that ended within the last week. They were never started, which
/// tells them from others.
pub(crate) async fn insert_ended(conn: &mut PgConnection, tenants: &[TenantId], count: u32) -> Result<(), sqlx::Error> {
    let tenants: Vec<Uuid> = tenants.iter().map(|id| id.0).collect();
    sqlx::query!(
        "
        insert into job_history (id, tenant_id, kind, queue, args, state, priority, run_at, due_at, attempt, failures,
          crashes, poison, depth, failed_children, counted, created_at, ended_at)
        select
          (lpad(to_hex((extract(epoch from ended_at) * 1000)::bigint), 12, '0')
            || '7' || substr(md5(number::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
          ($1::uuid[])[1 + number % cardinality($1)], 'noop', 'default', '{}', 'completed', 2, ended_at, ended_at, 1, 0,
          0, 0, 0, 0, true, ended_at, ended_at
        from (
          select number, engine_now() - ($2 - number) * interval '7 days' / $2 as ended_at
          from generate_series(1, $2::bigint) as number
        ) ended
        ",
        &tenants,
        i64::from(count)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Brings the tables into a settled state: fresh statistics, no dead rows, everything on disk.
pub(crate) async fn settle_down(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("vacuum analyze").execute(&mut *conn).await?;
    sqlx::raw_sql("checkpoint").execute(conn).await?;
    Ok(())
}

/// Counts the jobs that wait in the ledger and are not in the Redis window, up to `enough`.
pub(crate) async fn count_waiting(conn: &mut PgConnection, enough: u32) -> Result<u32, sqlx::Error> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from (select from jobs where state = 'available' and dispatched_at is null limit $1) waiting
        "#,
        i64::from(enough)
    )
    .fetch_one(conn)
    .await?;
    Ok(u32::try_from(count).unwrap_or(enough))
}

/// Returns true if every due job has ended.
pub(crate) async fn is_worked_off(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select not exists (select from jobs where state in ('available', 'executing', 'retryable', 'suspended')) as "is!"
        "#
    )
    .fetch_one(conn)
    .await
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// The rows of jobs that ran and ended.
    pub(crate) ended: i64,
    /// The jobs among them that completed at their first attempt.
    pub(crate) at_once: i64,
    /// The attempts that did not complete their job.
    pub(crate) not_completed: i64,
    /// All distinct jobs, whatever their state.
    pub(crate) all: i64,
    /// The time from the worker's registration to the last end.
    pub(crate) seconds: f64,
    /// The time from the first start to the last end of the jobs of one transaction, summed over
    /// all transactions.
    pub(crate) seconds_of_turns: f64,
}

/// Returns the result of the run of the only worker.
pub(crate) async fn get_run(conn: &mut PgConnection) -> Result<Run, sqlx::Error> {
    sqlx::query_as!(
        Run,
        r#"
        select
          count(*) filter (where ended_at is not null and started_at is not null) as "ended!",
          count(*) filter (where state = 'completed' and started_at is not null and attempt = 1) as "at_once!",
          (select count(*) from job_attempts) as "not_completed!",
          count(distinct id) as "all!",
          coalesce(extract(epoch from max(ended_at) filter (where started_at is not null)
            - (select min(started_at) from workers))::float8, 0) as "seconds!",
          (select coalesce(sum(extract(epoch from took)), 0)::float8
            from (
              select max(ended_at) - min(started_at) as took
              from job_ledger
              where started_at is not null
              group by run_at
            ) turn) as "seconds_of_turns!"
        from job_ledger
        "#
    )
    .fetch_one(conn)
    .await
}

/// The times that jobs waited from their creation to their start, in milliseconds.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Returns the times that jobs waited for their start.
pub(crate) async fn get_latency(conn: &mut PgConnection) -> Result<Latency, sqlx::Error> {
    sqlx::query_as!(
        Latency,
        r#"
        select
          percentile_cont(0.5) within group (order by waited_ms) as "p50_ms!",
          percentile_cont(0.99) within group (order by waited_ms) as "p99_ms!"
        from (
          select extract(epoch from started_at - created_at)::float8 * 1000 as waited_ms
          from job_ledger
          where started_at is not null
        ) started
        "#
    )
    .fetch_one(conn)
    .await
}
