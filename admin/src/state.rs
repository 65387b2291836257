//! What handlers share.

use std::{sync::Arc, time::Duration};

use jobs::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx, Window},
    services::Services,
};

use crate::{budgets::Budgets, config::HttpConfig, streams::Streams};

/// What handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The database.
    pub db: Db,
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

impl AppState {
    /// Writes down what somebody did, last in the transaction that does it.
    pub(crate) async fn record(&self, tx: &mut Tx, actor: &Actor, entry: Entry) -> Result<(), sqlx::Error> {
        audit::append(tx, &self.services.keyring, actor, &[entry]).await
    }
}
