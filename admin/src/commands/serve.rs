//! `admin serve`: the API.

use std::{sync::Arc, time::Duration};

use admin::{AppState, Budgets, HttpConfig, Pace, Streams};
use anyhow::Context as _;
use jobs::{
    config::{EngineConfig, ServicesConfig},
    services::Services,
};
use tokio::signal::unix::{SignalKind, signal};

/// The wait for a database connection. While the database is away, requests fail within three
/// seconds.
const DATABASE_PATIENCE: Duration = Duration::from_millis(2_500);

/// The settings of `admin serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    engine: EngineConfig,
    #[command(flatten)]
    services: ServicesConfig,
    #[command(flatten)]
    http: HttpConfig,
    /// The address to listen on.
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    host: String,
    /// The port to listen on.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
    /// The number of proxies in front of the admin that add to `X-Forwarded-For`: 1 on Heroku and
    /// Railway. With 0 that header is ignored.
    #[arg(long, env = "TRUSTED_PROXIES", default_value_t = 0)]
    trusted_proxies: u8,
    /// The minutes in which an account has to be connected.
    #[arg(long, env = "OAUTH_STATE_EXPIRATION_MINUTES", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=60))]
    oauth_state_expiration_minutes: u64,
}

/// Serves the API until a signal to stop.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let public_url = config.services.public_url.as_str().trim_end_matches('/').to_owned();
    let services = Services::new(&config.services)?;
    let window = config.engine.window()?;
    let state = AppState {
        db: config.engine.connect_within(DATABASE_PATIENCE, window.clone()).await?.into(),
        streams: Streams::start(window.clone(), Pace::default()),
        window,
        services,
        state_life: Duration::from_secs(60 * config.oauth_state_expiration_minutes),
        public_url,
        trusted_proxies: config.trusted_proxies,
        budgets: Budgets::new(config.http.budgets),
        http: Arc::new(config.http),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let streams = state.streams.clone();
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        streams.close();
    };
    let listener = admin::listen(&config.host, config.port).await.context("could not listen on HOST and PORT")?;
    admin::serve(listener, state, stop).await.context("could not serve")
}
