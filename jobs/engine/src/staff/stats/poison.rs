//! Jobs that took down their process.

use sqlx::PgConnection;

use crate::ids::JobId;

/// Kinds and ids of jobs that were given up within the last hour, and a little before, because they took down their process;
/// the latest first.
pub async fn list_poisoned(conn: &mut PgConnection, limit: i64) -> Result<Vec<(String, JobId)>, sqlx::Error> {
    let jobs = sqlx::query!(
        r#"
        select kind, id as "id: JobId"
        from job_history
        where ended_at > engine_now() - interval '70 minutes' and state = 'discarded' and error ->> 'class' = 'poison'
        order by ended_at desc
        limit $1
        "#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(jobs.into_iter().map(|job| (job.kind, job.id)).collect())
}
