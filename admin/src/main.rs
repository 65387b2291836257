//! The admin's commands.

mod create_operator;
mod verify_audit;

use std::{process::ExitCode, sync::Arc, time::Duration};

use admin::{AppState, HttpConfig, Pace, Streams};
use anyhow::Context as _;
use clap::{Parser, Subcommand};
use jobs::{
    audit::{self, Actor, Entry},
    config::{EngineConfig, KeyringConfig, ServicesConfig},
    engine::{Db, rebuild},
    ids::TenantId,
    services::Services,
    telemetry::LogConfig,
    value_parsers::secret,
};
use poem::{Server, listener::TcpListener};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Linecook's admin. Every setting is an environment variable.
#[derive(Debug, Parser)]
#[command(name = "admin", version)]
struct Cli {
    #[command(flatten)]
    log: LogConfig,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API.
    Serve(Box<ServeConfig>),
    /// Apply the migrations.
    Migrate(DatabaseConfig),
    /// Empty this installation's windows in Redis and push what the ledger has as dispatched anew. May be repeated.
    RebuildQueue {
        #[command(flatten)]
        engine: EngineConfig,
        #[command(flatten)]
        keys: KeyringConfig,
    },
    /// Let an operator in: print a key, or with --email a link at which the person chooses a password. Either is to be seen this
    /// once.
    CreateOperator(Box<create_operator::Config>),
    /// Let an operator out who signs in with an address.
    RemoveOperator(create_operator::Removal),
    /// Check that nobody changed the audit log: exits with 0 if it is whole, 1 if it is broken, 2 if that cannot be said.
    VerifyAudit(verify_audit::Config),
}

#[derive(Debug, clap::Args)]
struct DatabaseConfig {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    database_url: SecretString,
}

#[derive(Debug, clap::Args)]
struct ServeConfig {
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
    /// Proxies in front of the admin that add to `X-Forwarded-For`: 1 on Heroku and Railway. Without any, that header is not
    /// believed.
    #[arg(long, env = "TRUSTED_PROXIES", default_value_t = 0)]
    trusted_proxies: u8,
    /// How long connecting an account may take.
    #[arg(long, env = "OAUTH_STATE_EXPIRATION_MINUTES", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=60))]
    oauth_state_expiration_minutes: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let is_check = matches!(cli.command, Command::VerifyAudit(_));
    match run(cli).await {
        Err(error) if is_check => Ok(verify_audit::cannot_say(&error)),
        outcome => outcome,
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    cli.log.start()?;
    match cli.command {
        Command::Serve(config) => serve(*config).await?,
        Command::Migrate(config) => Db::migrate(config.database_url.expose_secret()).await?,
        Command::RebuildQueue { engine, keys } => rebuild_queue(&engine, &keys).await?,
        Command::CreateOperator(config) => create_operator::run(*config).await?,
        Command::RemoveOperator(removal) => create_operator::remove(removal).await?,
        Command::VerifyAudit(config) => return verify_audit::run(config).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let public_url = config.services.public_url.as_str().trim_end_matches('/').to_owned();
    let services = Services::new(&config.services)?;
    let window = config.engine.window()?;
    let state = AppState {
        db: config.engine.connect(window.clone()).await?,
        streams: Streams::start(window.clone(), Pace::default()),
        window,
        services,
        state_life: Duration::from_secs(60 * config.oauth_state_expiration_minutes),
        public_url,
        trusted_proxies: config.trusted_proxies,
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
    tracing::info!(host = config.host, port = config.port, "admin listens");
    let listener = TcpListener::bind((config.host, config.port));
    Server::new(listener)
        .run_with_graceful_shutdown(admin::app(state), stop, Some(Duration::from_secs(20)))
        .await
        .context("could not serve")
}

async fn rebuild_queue(config: &EngineConfig, keys: &KeyringConfig) -> anyhow::Result<()> {
    let keyring = keys.keyring()?;
    let window = config.window()?;
    let db = config.connect(window.clone()).await?;
    let rebuilt = rebuild(&db, &window).await?;
    let counts: Vec<_> = rebuilt
        .iter()
        .map(|queue| json!({ "queue": queue.queue, "removed": queue.removed, "pushed": queue.pushed }))
        .collect();
    let entry = Entry {
        tenant_id: TenantId::SYSTEM,
        action: "window.rebuild".to_owned(),
        object_type: "window",
        object_id: config.redis_prefix.clone(),
        details: json!({ "queues": counts }),
    };
    let mut tx = db.system().await?;
    audit::append(&mut tx, &keyring, &Actor::command_line(), &[entry]).await?;
    tx.commit().await?;
    for queue in rebuilt {
        println!("{}: removed {}, pushed {}", queue.queue, queue.removed, queue.pushed);
    }
    Ok(())
}
