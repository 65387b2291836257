//! The state that handlers share.

use std::{sync::Arc, time::Duration};

use jobs::{engine::Window, services::Services};

use crate::{budgets::Budgets, config::HttpConfig, database::Database, streams::Streams};

/// The state that handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The database.
    pub db: Database,
    /// Redis.
    pub window: Window,
    /// The event streams of jobs.
    pub streams: Streams,
    /// Clients of other services.
    pub services: Arc<Services>,
    /// The time in which connecting an account has to be done.
    pub state_life: Duration,
    /// The address at which browsers reach us, without a slash at the end.
    pub public_url: String,
    /// The number of proxies in front of us that add to `X-Forwarded-For`. Their entries are
    /// trusted.
    pub trusted_proxies: u8,
    /// The settings about requests.
    pub http: Arc<HttpConfig>,
    /// Memory and disk that requests share.
    pub budgets: Budgets,
}
