//! Jobs that killed their process.

use sqlx::PgConnection;

use crate::ids::JobId;

/// Lists kinds and ids of jobs that were discarded within the last 70 minutes because they killed
/// their process, the latest first.
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
