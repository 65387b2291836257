//! Whether the process, the database and Redis answer.

use jobs::engine::{
    Scope,
    stats::{self, Trouble},
};
use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{ApiError, api::Tag, state::AppState};

/// It answers.
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
    /// Whether the process answers.
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    #[expect(clippy::unused_async, reason = "the framework wants operations to be async")]
    async fn process(&self) -> Json<Health> {
        ok()
    }

    /// Whether the database answers.
    #[oai(path = "/health/db", method = "get", operation_id = "get_health_db")]
    async fn database(&self) -> Result<Json<Health>, ApiError> {
        self.state.db.ping().await.map_err(|error| ApiError::unavailable("database", error))?;
        Ok(ok())
    }

    /// Whether Redis answers. Jobs run without it, only slower.
    #[oai(path = "/health/redis", method = "get", operation_id = "get_health_redis")]
    async fn redis(&self) -> Result<Json<Health>, ApiError> {
        self.state.window.ping().await.map_err(|error| ApiError::unavailable("Redis", error))?;
        Ok(ok())
    }

    /// Whether somebody consumes the work. Red when a queue that is not paused has work, due now or within five minutes, and no
    /// live worker; when due work has not been made available for a minute; when work that nothing holds back waits for over a
    /// minute (five where no slot is free) and nothing of the queue is taken. Green when idle.
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

/// Returns what is wrong with a queue, and what to do.
pub(crate) fn words(queue: &str, trouble: Trouble) -> String {
    match trouble {
        Trouble::Nobody => {
            format!("Queue {queue} has work now or within five minutes, and no live worker: start one that serves it.")
        }
        Trouble::NotPromoted => {
            format!("Queue {queue} has work that no worker makes available: see the workers' logs for why.")
        }
        Trouble::Standstill => {
            format!("Queue {queue} has work that could run and has waited for minutes, and nothing of it is taken.")
        }
    }
}
