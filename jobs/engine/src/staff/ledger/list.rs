//! Lists of jobs, with a cost that does not grow with the ledger.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{JobRow, get_job};
use crate::{
    JobState,
    ids::{JobId, TenantId},
};

/// The most jobs that a page looks at, so that a filter without an index costs no more than any
/// other.
const LOOKED_AT: i64 = 20_000;

/// A filter of jobs. An absent field matches every job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobFilter {
    /// Jobs of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Jobs in this state.
    pub state: Option<JobState>,
    /// Jobs of this kind.
    pub kind: Option<String>,
    /// Jobs of this queue.
    pub queue: Option<String>,
    /// Children of this job.
    pub parent_id: Option<JobId>,
    /// Jobs that act on this account.
    pub account_id: Option<Uuid>,
    /// Jobs with this text in the kind or in the last failure's message, or with this id anywhere.
    pub text: Option<String>,
    /// Jobs made at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Jobs made before this time.
    pub until: Option<DateTime<Utc>>,
    /// Jobs older than this position, for pagination.
    #[serde(skip)]
    pub after: Option<ListPosition>,
}

/// A position in a list that is sorted newest first: a time of creation and an id.
pub type ListPosition = (DateTime<Utc>, Uuid);

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The jobs, newest first. A page may be short or empty if few of the jobs looked at match the
    /// filter.
    pub jobs: Vec<JobRow>,
    /// The position of the next page. `None` at the end of the list.
    pub next: Option<ListPosition>,
}

/// A filter, reduced to the conditions that an index serves. The others are tested row by row.
struct Scan {
    /// The id that the text names, if there is such a job.
    id: Option<Uuid>,
    tenant_id: Option<Uuid>,
    is_finished: Option<bool>,
    /// The state, if lists of that state have an index.
    state: Option<&'static str>,
    parent_id: Option<Uuid>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    after: (Option<DateTime<Utc>>, Option<Uuid>),
}

/// Returns true if lists of that state have an index.
fn has_index(state: JobState) -> bool {
    match state {
        JobState::Executing | JobState::Retryable | JobState::Suspended | JobState::Cancelled | JobState::Discarded => {
            true
        }
        JobState::Scheduled | JobState::Available | JobState::Completed => false,
    }
}

impl Scan {
    /// Prepares a filter. Returns `None` if the parent does not exist. Children are indexed by
    /// tenant and parent, so the parent's tenant is looked up if it is not given.
    async fn of(conn: &mut PgConnection, filter: &JobFilter) -> Result<Option<Self>, sqlx::Error> {
        let tenant_id = match (filter.tenant_id, filter.parent_id) {
            (None, Some(parent)) => match get_job(conn, parent).await? {
                Some(parent) => Some(parent.tenant_id),
                None => return Ok(None),
            },
            (tenant_id, _) => tenant_id,
        };
        let id = match filter.text.as_deref().and_then(|text| text.parse().ok()) {
            Some(id) => get_job(conn, JobId(id)).await?.map(|_| id),
            None => None,
        };
        let state = filter.state;
        Ok(Some(Self {
            id,
            tenant_id: tenant_id.map(|id| id.0),
            is_finished: state.map(JobState::is_finished),
            state: state.filter(|&state| has_index(state)).map(JobState::name),
            parent_id: filter.parent_id.map(|id| id.0),
            since: filter.since,
            until: filter.until,
            after: filter.after.unzip(),
        }))
    }
}

/// Lists jobs, newest first, one page at a time.
pub async fn list_jobs(conn: &mut PgConnection, filter: &JobFilter, limit: i64) -> Result<Listed, sqlx::Error> {
    plan_by_index(conn).await?;
    let Some(scan) = Scan::of(conn, filter).await? else {
        return Ok(Listed { jobs: Vec::new(), next: None });
    };
    let jobs = look(conn, &scan, filter, limit).await?;
    let next = if i64::try_from(jobs.len()).unwrap_or(i64::MAX) >= limit {
        jobs.last().map(|job| (job.created_at, job.id.0))
    } else {
        find_end(conn, &scan).await?
    };
    Ok(Listed { jobs, next })
}

/// Makes the planner use indexes for optional filters in a static statement. Only a plan made for
/// the given values can use them.
///
/// Over a million rows the planner prefers to read and sort the whole table. That takes 4 s, while
/// walking 20,000 rows of an index takes 0.1 s.
async fn plan_by_index(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        select count(set_config(name, value, true)) as settings
        from (
          values ('plan_cache_mode', 'force_custom_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
            ('max_parallel_workers_per_gather', '0'), ('jit', 'off')
        ) as setting (name, value)
        "
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// The part of a query that yields the jobs that a scan looks at, newest first. Its parameters are
/// `$1` to `$10`.
///
/// Each part is sorted and limited by itself, so that an index is read as far as needed and no
/// further. Running jobs are in no index for lists and are all read.
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
                where $2::boolean is distinct from false
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
              order by created_at desc, id desc
              limit $9
            ) looked_at
            "# + $and,
            $($argument),*
        )
    };
}

async fn look(
    conn: &mut PgConnection,
    scan: &Scan,
    filter: &JobFilter,
    limit: i64,
) -> Result<Vec<JobRow>, sqlx::Error> {
    let text = filter.text.as_deref().map(str::to_lowercase);
    let text_id = text.as_deref().and_then(|text| text.parse::<Uuid>().ok());
    looked_at!(
        r#"
        select id as "id!: JobId", tenant_id as "tenant_id!: TenantId", kind as "kind!", queue as "queue!", args as "args!",
          state as "state!: JobState", priority as "priority!", account_id, run_at, attempt as "attempt!", failures as "failures!",
          crashes as "crashes!", poison as "poison!", worker_id, parent_id, pending as "pending!",
          failed_children as "failed_children!", suspended_on, cancel_requested_at, result, error,
          created_at as "created_at!", started_at, ended_at
        "#,
        r#"
        where ($11::text is null or state = $11)
          and ($12::text is null or kind = $12)
          and ($13::text is null or queue = $13)
          and ($14::uuid is null or account_id = $14)
          and ($15::text is null
            or strpos(kind, $15) > 0
            or strpos(lower(error ->> 'message'), $15) > 0
            or ($16::uuid is not null and (id = $16 or account_id = $16 or strpos(args::text, $15) > 0)))
        order by created_at desc, id desc
        limit $17
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
        LOOKED_AT,
        scan.id,
        filter.state.map(JobState::name),
        filter.kind,
        filter.queue,
        filter.account_id,
        text,
        text_id,
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
        scan.id
    )
    .fetch_optional(conn)
    .await?;
    Ok(end.map(|end| (end.created_at, end.id)))
}
