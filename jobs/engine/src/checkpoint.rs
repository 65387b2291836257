//! Checkpoints for long jobs: the next attempt continues at the place that was committed last.

use serde_json::Value;

use super::{AttemptContext, AttemptTx, JobError};

impl AttemptContext {
    /// Returns the last place that this job committed by [`AttemptTx::checkpoint`].
    pub async fn last_checkpoint(&self) -> Result<Option<Value>, JobError> {
        let mut tx = self.begin().await?;
        let place =
            sqlx::query_scalar!("select result from jobs where id = $1", self.job_id().0).fetch_one(&mut **tx).await?;
        tx.commit().await?;
        Ok(place)
    }
}

impl AttemptTx {
    /// Commits the job's writes together with its place. The job shows the place as its result
    /// until it completes.
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
        // The fence checks that this was still the latest attempt.
        self.commit().await
    }
}
