//! Lists of jobs, with a cost that does not grow with the ledger.

mod scan;

use sqlx::PgConnection;
use uuid::Uuid;

use self::scan::Scan;
use super::{JobFilter, JobRow, ListPosition};
use crate::{
    JobState, Kind,
    ids::{JobId, TenantId},
    staff::plans::{self, Plans},
};

/// The most jobs that a page looks at, so that a filter without an index costs no more than any
/// other.
const LOOKED_AT: i64 = 20_000;

/// The jobs that a page looks at first. If most of them match, that is all it takes.
const FIRST_LOOK: i64 = 500;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The jobs, newest first. A page may be short or empty if few of the jobs looked at match the
    /// filter.
    pub jobs: Vec<JobRow>,
    /// The position of the next page. `None` at the end of the list.
    pub next: Option<ListPosition>,
}

/// Lists jobs, newest first, one page at a time. The payloads of `kinds` are searched, unless a
/// kind hides fields.
pub async fn list_jobs<S>(
    conn: &mut PgConnection,
    kinds: &[Kind<S>],
    filter: &JobFilter,
    limit: i64,
) -> Result<Listed, sqlx::Error> {
    plans::choose(conn, Plans::InOrder).await?;
    let Some(scan) = Scan::of(conn, kinds, filter).await? else {
        return Ok(Listed { jobs: Vec::new(), next: None });
    };
    let searched: Vec<String> =
        kinds.iter().filter(|kind| kind.redacted.is_empty()).map(|kind| kind.name.to_owned()).collect();
    let mut jobs = look(conn, &scan, filter, &searched, limit, FIRST_LOOK.max(limit)).await?;
    if full(&jobs, limit).is_none() {
        jobs = look(conn, &scan, filter, &searched, limit, LOOKED_AT).await?;
    }
    let next = match full(&jobs, limit) {
        Some(next) => Some(next),
        None => find_end(conn, &scan).await?,
    };
    Ok(Listed { jobs, next })
}

/// Returns the position of the last job if the page is full.
fn full(jobs: &[JobRow], limit: i64) -> Option<ListPosition> {
    let is_full = i64::try_from(jobs.len()).unwrap_or(i64::MAX) >= limit;
    jobs.last().filter(|_| is_full).map(|job| (job.created_at, job.id.0))
}

/// The part of a query that yields the jobs that a scan looks at, newest first. Its parameters are
/// `$1` to `$12`.
///
/// Each part is sorted and limited by itself, so that an index is read as far as needed and no
/// further. Running jobs are in no index for lists and are all read. Finished jobs whose words are
/// not written yet are read with those that have the word.
macro_rules! looked_at {
    ($select:literal, $and:literal, $macro:ident ! ($($row:ty,)?), $($argument:expr),* $(,)?) => {
        sqlx::$macro!(
            $($row,)?
            $select + r#"
            from (
              (
                select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison,
                  worker_id, parent_id, pending, failed_children, suspended_on, cancel_requested_at, result, error, created_at,
                  started_at, ended_at
                from jobs
                where state <> 'executing' and $2::boolean is distinct from true
                  and ($1::uuid is null or tenant_id = $1)
                  and ($3::text is null or ($3 <> 'executing' and state = $3))
                  and ($4::uuid is null or parent_id = $4)
                  and ($5::timestamptz is null or created_at >= $5)
                  and ($6::timestamptz is null or created_at < $6)
                  and ($7::timestamptz is null or (created_at, id) < ($7, $8::uuid))
                  and ($10::uuid is null or id = $10)
                order by created_at desc, id desc
                limit $9
              )
              union all
              (
                select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison,
                  worker_id, parent_id, pending, failed_children, suspended_on, cancel_requested_at, result, error, created_at,
                  started_at, ended_at
                from jobs
                where state = 'executing' and $2::boolean is distinct from true
                  and ($1::uuid is null or tenant_id = $1)
                  and ($3::text is null or $3 = 'executing')
                  and ($4::uuid is null or parent_id = $4)
                  and ($5::timestamptz is null or created_at >= $5)
                  and ($6::timestamptz is null or created_at < $6)
                  and ($7::timestamptz is null or (created_at, id) < ($7, $8::uuid))
                  and ($10::uuid is null or id = $10)
                order by created_at desc, id desc
                limit $9
              )
              union all
              (
                select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison,
                  worker_id, parent_id, 0 as pending, failed_children, null, cancel_requested_at, result, error, created_at,
                  started_at, ended_at
                from job_history
                where $2::boolean is distinct from false and $11::text is null and (not $12::boolean or state <> 'completed')
                  and ($1::uuid is null or tenant_id = $1)
                  and ($3::text is null or state = $3)
                  and ($4::uuid is null or parent_id = $4)
                  and ($5::timestamptz is null or created_at >= $5)
                  and ($6::timestamptz is null or created_at < $6)
                  and ($7::timestamptz is null or (created_at, id) < ($7, $8::uuid))
                  and ($10::uuid is null or id = $10)
                order by created_at desc, id desc
                limit $9
              )
              union all
              (
                select found.job_id as id, h.tenant_id, h.kind, h.queue, h.args, h.state, h.priority, h.account_id, h.run_at, h.attempt, h.failures,
                  h.crashes, h.poison, h.worker_id, h.parent_id, 0 as pending, h.failed_children, null, h.cancel_requested_at,
                  h.result, h.error, found.created_at, h.started_at, h.ended_at
                from (
                  select created_at, job_id
                  from job_words
                  where $2::boolean is distinct from false and word = $11
                    and ($5::timestamptz is null or created_at >= $5)
                    and ($6::timestamptz is null or created_at < $6)
                    and ($7::timestamptz is null or (created_at, job_id) < ($7, $8::uuid))
                  order by created_at desc, job_id desc
                  limit $9
                ) found
                cross join lateral (
                  select * from job_history where id = found.job_id offset 0
                ) h
                order by found.created_at desc, found.job_id desc
                limit $9
              )
              union all
              (
                select waits.job_id, h.tenant_id, h.kind, h.queue, h.args, h.state, h.priority, h.account_id, h.run_at, h.attempt,
                  h.failures, h.crashes, h.poison, h.worker_id, h.parent_id, 0 as pending, h.failed_children, null,
                  h.cancel_requested_at, h.result, h.error, waits.created_at, h.started_at, h.ended_at
                from (
                  select created_at, job_id
                  from jobs_to_index
                  where $2::boolean is distinct from false and $11::text is not null
                    and ($5::timestamptz is null or created_at >= $5)
                    and ($6::timestamptz is null or created_at < $6)
                    and ($7::timestamptz is null or (created_at, job_id) < ($7, $8::uuid))
                  order by created_at desc, job_id desc
                  limit $9
                ) waits
                cross join lateral (
                  select * from job_history where id = waits.job_id offset 0
                ) h
                order by waits.created_at desc, waits.job_id desc
                limit $9
              )
              order by created_at desc, id desc
              limit $9
            ) looked_at
            "# + $and,
            $($argument),*
        )
    };
}

#[expect(clippy::too_many_lines, reason = "one statement")]
async fn look(
    conn: &mut PgConnection,
    scan: &Scan,
    filter: &JobFilter,
    searched: &[String],
    limit: i64,
    looked_at: i64,
) -> Result<Vec<JobRow>, sqlx::Error> {
    let text = filter.searched_text();
    let text_id = text.as_deref().and_then(|text| text.parse::<Uuid>().ok());
    let not_tenants: Vec<Uuid> = filter.not_tenants.iter().map(|id| id.0).collect();
    let not_states: Vec<String> = filter.not_states.iter().map(ToString::to_string).collect();
    looked_at!(
        r#"
        select id as "id!: JobId", tenant_id as "tenant_id!: TenantId", kind as "kind!", queue as "queue!", args as "args!",
          state as "state!: JobState", priority as "priority!", account_id, run_at, attempt as "attempt!", failures as "failures!",
          crashes as "crashes!", poison as "poison!", worker_id, parent_id, pending as "pending!",
          failed_children as "failed_children!", suspended_on, cancel_requested_at, result, error,
          created_at as "created_at!", started_at, ended_at
        "#,
        r#"
        where ($13::text is null or state = $13)
          and ($14::text is null or kind = $14)
          and ($15::text is null or queue = $15)
          and ($16::uuid is null or account_id = $16)
          and ($17::text is null
            or strpos(kind, $17) > 0
            or id = $18::uuid
            or account_id = $18
            or strpos(job_text(case when kind = any($19::text[]) then args else '{}' end, error), $17) > 0)
          and tenant_id <> all($20::uuid[])
          and state <> all($21::text[])
          and kind <> all($22::text[])
          and queue <> all($23::text[])
          and ($24::timestamptz is null or ended_at >= $24)
          and ($25::timestamptz is null or ended_at < $25)
        order by created_at desc, id desc
        limit $26
        "#,
        query_as!(JobRow,),
        scan.tenant_id,
        scan.is_finished,
        scan.state,
        scan.parent_id,
        scan.since,
        scan.until,
        scan.after.0,
        scan.after.1,
        looked_at,
        scan.id,
        scan.word,
        scan.skips_completed,
        filter.state.map(JobState::name),
        filter.kind,
        filter.queue,
        filter.account_id,
        text,
        text_id,
        searched,
        &not_tenants,
        &not_states,
        &filter.not_kinds,
        &filter.not_queues,
        filter.ended_since,
        filter.ended_until,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Returns the position of the last job that [`look`] looked at, if there may be more behind it.
async fn find_end(conn: &mut PgConnection, scan: &Scan) -> Result<Option<ListPosition>, sqlx::Error> {
    let end = looked_at!(
        r#"select created_at as "created_at!", id as "id!""#,
        "order by created_at desc, id desc offset $9 - 1 limit 1",
        query!(),
        scan.tenant_id,
        scan.is_finished,
        scan.state,
        scan.parent_id,
        scan.since,
        scan.until,
        scan.after.0,
        scan.after.1,
        LOOKED_AT,
        scan.id,
        scan.word,
        scan.skips_completed
    )
    .fetch_optional(conn)
    .await?;
    Ok(end.map(|end| (end.created_at, end.id)))
}
