//! Long jobs that keep their place: what an attempt has done is committed with where it goes on.

use serde_json::Value;

use super::{AttemptContext, AttemptTx, JobError};

impl AttemptContext {
    /// What earlier transactions of this job left by [`AttemptTx::checkpoint`].
    pub async fn last_checkpoint(&self) -> Result<Option<Value>, JobError> {
        let mut tx = self.begin().await?;
        let place =
            sqlx::query_scalar!("select result from jobs where id = $1", self.job_id().0).fetch_one(&mut **tx).await?;
        tx.commit().await?;
        Ok(place)
    }
}

impl AttemptTx {
    /// Commits the job's writes together with its place, which the job shows as its result until it completes.
    ///
    /// # Errors
    /// [`JobError::Superseded`], or the database refused.
    pub async fn checkpoint(mut self, progress: &Value) -> Result<(), JobError> {
        let attempt = self.attempt();
        sqlx::query!(
            "
            update jobs
            set result = $3
            where id = $1 and attempt = $2 and state is not distinct from 'executing'
            ",
            attempt.job_id.0,
            attempt.number,
            progress
        )
        .execute(&mut **self)
        .await?;
        // The fence finds out whether this was still the latest attempt.
        self.commit().await
    }
}
