//! Writing the words by which finished jobs are found.

use super::ListPosition;
use crate::Tx;

/// Writes the words of up to `limit` finished jobs made after the position `after`, the oldest
/// first. Returns the number of jobs and the position of the last one. Needs the system scope.
///
/// The list of these jobs is a table, `jobs_to_index`. Jobs that another transaction writes or
/// deletes right now are passed over.
pub async fn index_words(
    tx: &mut Tx,
    after: Option<ListPosition>,
    limit: i64,
) -> Result<(usize, Option<ListPosition>), sqlx::Error> {
    let (created_at, id) = after.unzip();
    let indexed = sqlx::query!(
        r#"
        with chosen as materialized (
          select created_at, job_id
          from jobs_to_index
          where $1::timestamptz is null or (created_at, job_id) > ($1, $2::uuid)
          order by created_at, job_id
          limit $3
          for update skip locked
        ),
        taken as (
          delete from jobs_to_index
          using chosen
          where jobs_to_index.created_at = chosen.created_at and jobs_to_index.job_id = chosen.job_id
        ),
        words as (
          insert into job_words (tenant_id, word, created_at, job_id)
          select distinct ended.tenant_id, word, ended.created_at, ended.id
          from chosen
          cross join lateral (
            select tenant_id, created_at, id, args, error, account_id from job_history where id = chosen.job_id offset 0
          ) ended
          cross join lateral job_words_of(ended.args, ended.error, ended.account_id) as word
        )
        select created_at, job_id
        from chosen
        order by created_at, job_id
        "#,
        created_at,
        id,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok((indexed.len(), indexed.last().map(|job| (job.created_at, job.job_id))))
}
