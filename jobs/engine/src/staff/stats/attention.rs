//! Work that waits for a person, and the counts of one tenant's jobs.

use super::{Count, MAX_COUNT, queues::plan_by_index};
use crate::{JobState, Tx, ids::TenantId};

/// The age up to which a failure waits for a person.
const NEW_SECONDS: f64 = 86_400.0;

/// The age up to which a finished job of a tenant is counted.
const LATELY_SECONDS: f64 = 3600.0;

/// Work that waits for a person.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Jobs made within a day that were given up.
    pub discarded: Count,
    /// Jobs with a call whose outcome nobody knows.
    pub unknown: Count,
    /// Parked accounts.
    pub parked: Count,
}

/// Counts the work that waits for a person. Needs the system scope.
pub async fn attention(tx: &mut Tx) -> Result<Attention, sqlx::Error> {
    plan_by_index(tx).await?;
    let row = sqlx::query!(
        r#"
        select
          (
            select count(*)
            from (
              select
              from job_history
              where state = 'discarded' and created_at > engine_now() - make_interval(secs => $1)
              order by created_at desc, id desc
              limit $2::bigint + 1
            ) found
          ) as "discarded!",
          (
            select count(*)
            from (
              select from jobs where state = 'suspended' and suspended_on = 'unknown_effect' limit $2::bigint + 1
            ) found
          ) as "unknown!",
          (select count(*) from (select from parked_accounts limit $2::bigint + 1) found) as "parked!"
        "#,
        NEW_SECONDS,
        MAX_COUNT
    )
    .fetch_one(&mut **tx)
    .await?;
    let count = |count: i64| Count { count: count.min(MAX_COUNT), is_exact: count <= MAX_COUNT };
    Ok(Attention { discarded: count(row.discarded), unknown: count(row.unknown), parked: count(row.parked) })
}

/// Counts the jobs of a tenant by state: unfinished ones up to [`MAX_COUNT`], the newest first, and
/// those that ended within the last hour.
pub async fn tenant_counts(tx: &mut Tx, tenant_id: TenantId) -> Result<Vec<(JobState, Count)>, sqlx::Error> {
    plan_by_index(tx).await?;
    let rows = sqlx::query!(
        r#"
        select state as "state!: JobState", count(*) as "count!", sum(count(*)) over (partition by is_finished) <= $2::bigint as "is_exact!"
        from (
          (
            select state, false as is_finished
            from jobs
            where tenant_id = $1 and state <> 'executing'
            order by created_at desc, id desc
            limit $2::bigint + 1
          )
          union all
          (select state, null from jobs where tenant_id = $1 and state = 'executing')
          union all
          (
            select state, true
            from job_history
            where tenant_id = $1 and ended_at > engine_now() - make_interval(secs => $3)
            limit $2::bigint + 1
          )
        ) found
        group by state, is_finished
        "#,
        tenant_id.0,
        MAX_COUNT,
        LATELY_SECONDS
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.state, Count { count: row.count, is_exact: row.is_exact })).collect())
}
