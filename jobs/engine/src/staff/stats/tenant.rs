//! The counts of one tenant's jobs.

use super::{Count, MAX_COUNT};
use crate::{
    JobState, Tx,
    ids::TenantId,
    staff::plans::{self, Plans},
};

/// The age up to which a finished job of a tenant is counted.
const LATELY_SECONDS: f64 = 3600.0;

/// Counts the jobs of a tenant by state: unfinished ones up to [`MAX_COUNT`], the newest first, and
/// those that ended within the last hour.
pub async fn tenant_counts(tx: &mut Tx, tenant_id: TenantId) -> Result<Vec<(JobState, Count)>, sqlx::Error> {
    plans::choose(tx, Plans::ByRange).await?;
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
