//! Whether the process, the database and Redis answer.

use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{ApiError, Tag, state::AppState};

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
}
