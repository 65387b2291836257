//! Health checks of the process, the database, Redis and the workers.

use jobs::engine::{
    Scope,
    stats::{self, Trouble},
};
use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{ApiError, api::Tag, state::AppState};

/// The result of a health check that passed.
#[derive(Debug, Object)]
pub(crate) struct Health {
    /// `ok`.
    status: String,
}

fn ok() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

pub(crate) struct HealthApi {
    pub(crate) state: AppState,
}

#[OpenApi(tag = "Tag::Health")]
impl HealthApi {
    /// Check that the process responds.
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    #[expect(clippy::unused_async, reason = "the framework wants operations to be async")]
    async fn process(&self) -> Json<Health> {
        ok()
    }

    /// Check that the database responds.
    #[oai(path = "/health/db", method = "get", operation_id = "get_health_db")]
    async fn database(&self) -> Result<Json<Health>, ApiError> {
        self.state.db.ping().await.map_err(|error| ApiError::unavailable("database", error))?;
        Ok(ok())
    }

    /// Check that Redis responds. Without it jobs still run, but slower.
    #[oai(path = "/health/redis", method = "get", operation_id = "get_health_redis")]
    async fn redis(&self) -> Result<Json<Health>, ApiError> {
        self.state.window.ping().await.map_err(|error| ApiError::unavailable("Redis", error))?;
        Ok(ok())
    }

    /// Check that workers take the work.
    ///
    /// The check fails if one of these holds for a queue that is not paused:
    /// - It has work, due now or within five minutes, and no live worker.
    /// - Due work has not been made available for a minute.
    /// - Work that nothing holds back has waited for over a minute (five if no slot is free), and
    ///   no job of the queue was taken meanwhile.
    ///
    /// An idle system passes.
    #[oai(path = "/health/workers", method = "get", operation_id = "get_health_workers")]
    async fn workers(&self) -> Result<Json<Health>, ApiError> {
        let mut tx = self.state.db.read(Scope::System).await?;
        let troubles = stats::find_troubles(&mut tx).await?;
        if troubles.is_empty() {
            return Ok(ok());
        }
        let words: Vec<String> = troubles.iter().map(|(queue, trouble)| words(queue, *trouble)).collect();
        Err(ApiError::not_consumed(words.join(" ")))
    }
}

fn words(queue: &str, trouble: Trouble) -> String {
    match trouble {
        Trouble::Nobody => {
            format!(
                "Queue {queue} has work now or within five minutes, and no live worker: start a worker that serves it."
            )
        }
        Trouble::NotPromoted => {
            format!("Queue {queue} has due work that no worker makes available: look into the workers' logs.")
        }
        Trouble::Standstill => {
            format!("Queue {queue} has work that could run and has waited for minutes, but no worker takes it.")
        }
    }
}
