//! What handlers share.

use std::{sync::Arc, time::Duration};

use jobs::{engine::Window, services::Services};

use crate::{budgets::Budgets, config::HttpConfig, database::Database, streams::Streams};

/// What handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The database.
    pub db: Database,
    /// Redis.
    pub window: Window,
    /// Who follows jobs.
    pub streams: Streams,
    /// Clients of the outside world.
    pub services: Arc<Services>,
    /// How long connecting an account may take.
    pub state_life: Duration,
    /// Where browsers reach us, without a slash at the end.
    pub public_url: String,
    /// Proxies in front of us that add to `X-Forwarded-For`: what they say is believed.
    pub trusted_proxies: u8,
    /// How requests are limited, read and shared.
    pub http: Arc<HttpConfig>,
    /// Memory and disk that requests share.
    pub budgets: Budgets,
}
