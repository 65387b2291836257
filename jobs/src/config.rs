//! The configuration that several binaries share. It is read from the environment once, at the
//! start.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    connections::ConnectionsConfig,
    engine::{Db, Window},
    mail::MailConfig,
    people::PeopleConfig,
    providers::{ProvidersConfig, ai::AiConfig},
    secrets::Keyring,
    tenants::plans::PlansConfig,
    value_parsers::{PublicUrlParser, UrlParser, duration, secret},
};

/// The addresses of the ledger (PostgreSQL) and the window (Redis).
#[derive(Debug, Clone, clap::Args)]
pub struct EngineConfig {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: SecretString,
    /// The maximum number of database connections that jobs and requests share. A worker has four
    /// more of its own.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 16)]
    pub database_connections: u32,
    /// Redis: `redis://host:port` or `rediss://...`.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = secret)]
    pub redis_url: SecretString,
    /// Accept any certificate from `rediss://` servers, as Heroku's self-signed ones need.
    #[arg(long, env = "REDIS_ACCEPT_INVALID_CERTS", default_value_t = false)]
    pub redis_accept_invalid_certs: bool,
    /// The prefix of every key in Redis, so that installations can share a server.
    #[arg(long, env = "REDIS_PREFIX", default_value = "linecook:")]
    pub redis_prefix: String,
}

impl EngineConfig {
    /// Returns a client of the window, which connects when it is first used.
    ///
    /// # Errors
    /// Returns an error if `REDIS_URL` is malformed.
    pub fn window(&self) -> anyhow::Result<Window> {
        let mut url = self.redis_url.expose_secret().to_owned();
        if self.redis_accept_invalid_certs && url.starts_with("rediss://") {
            url.push_str("#insecure");
        }
        Window::open(&url, &self.redis_prefix)
            .map_err(|_| anyhow::anyhow!("REDIS_URL should look like redis://host:port or rediss://host:port"))
    }

    /// Connects for a program that people wait for: a transaction begins within `patience` or
    /// fails.
    ///
    /// # Errors
    /// As [`EngineConfig::connect`].
    pub async fn connect_within(&self, patience: Duration, window: Window) -> anyhow::Result<Db> {
        let url = self.database_url.expose_secret();
        Db::connect_within(patience, url, self.database_connections, Some(window)).await
    }

    /// Connects to the database.
    ///
    /// # Errors
    /// Returns an error if it cannot be reached, or if the login bypasses row-level security and no
    /// role without that right exists.
    pub async fn connect(&self, window: Window) -> anyhow::Result<Db> {
        Db::connect(self.database_url.expose_secret(), self.database_connections, Some(window)).await
    }
}

/// The keys for stored secrets.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyringConfig {
    /// The keys for secrets at rest and for the audit log: `id:base64,id:base64`, each of 32 bytes.
    /// The first one encrypts and signs.
    #[arg(long, env = "ENCRYPTION_KEYS", hide_env_values = true, value_parser = secret)]
    pub encryption_keys: SecretString,
}

impl KeyringConfig {
    /// Returns the keys.
    ///
    /// # Errors
    /// Returns an error if a key is malformed. The message does not repeat it.
    pub fn keyring(&self) -> anyhow::Result<Keyring> {
        Keyring::parse(self.encryption_keys.expose_secret())
            .context("ENCRYPTION_KEYS should look like id:base64,id:base64 with 32 bytes in each base64")
    }
}

/// The keys, the storage and the external services.
#[derive(Debug, Clone, clap::Args)]
pub struct ServicesConfig {
    /// The keys for stored secrets.
    #[command(flatten)]
    pub keys: KeyringConfig,
    /// The secret that signs links in mails and access tokens: 32 random characters or more.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true, value_parser = secret)]
    pub secret_key: SecretString,
    /// The storage for pictures: `file:///folder` or `s3://bucket?region=...&endpoint=...`.
    #[arg(long, env = "STORAGE_URL", hide_env_values = true, value_parser = UrlParser)]
    pub storage_url: Url,
    /// Set by Heroku. There, web and worker run on separate machines.
    #[arg(long, env = "DYNO", hide = true)]
    pub dyno: Option<String>,
    /// Set by Railway. There too, web and worker run on separate machines.
    #[arg(long, env = "RAILWAY_ENVIRONMENT_ID", hide = true)]
    pub railway_environment_id: Option<String>,
    /// The address at which browsers reach the admin: `https://...`. Plain http is accepted only
    /// for this machine, where nobody can listen.
    #[arg(long, env = "PUBLIC_URL", value_parser = PublicUrlParser)]
    pub public_url: Url,
    /// The settings of periodic jobs.
    #[command(flatten)]
    pub upkeep: UpkeepConfig,
    /// The limits of tenants, by plan.
    #[command(flatten)]
    pub plans: PlansConfig,
    /// The providers where accounts are connected and people sign in.
    #[command(flatten)]
    pub providers: ProvidersConfig,
    /// The settings of connecting accounts.
    #[command(flatten)]
    pub connections: ConnectionsConfig,
    /// OpenAI.
    #[command(flatten)]
    pub ai: AiConfig,
    /// Mail.
    #[command(flatten)]
    pub mail: MailConfig,
    /// The settings about people.
    #[command(flatten)]
    pub people: PeopleConfig,
}

/// The periods that periodic jobs use.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct UpkeepConfig {
    /// The number of days that finished jobs are kept.
    #[arg(long, env = "JOB_HISTORY_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub job_history_days: u16,
    /// The number of days that discarded jobs are kept.
    #[arg(long, env = "JOB_HISTORY_DISCARDED_DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub job_history_discarded_days: u16,
    /// The maximum number of finished jobs that are kept: the newest.
    #[arg(long, env = "JOB_HISTORY_ROWS", default_value_t = 1_000_000)]
    pub job_history_rows: u32,
    /// The number of days that records of external calls are kept once their outcome is known.
    #[arg(long, env = "EFFECT_HISTORY_DAYS", default_value_t = 400, value_parser = clap::value_parser!(u16).range(1..))]
    pub effect_history_days: u16,
    /// The number of days before its end at which a user token is refreshed.
    #[arg(long, env = "TOKEN_REFRESH_THRESHOLD_DAYS", default_value_t = 7,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub token_refresh_threshold_days: u16,
    /// The minimum time between two refreshes of a token: `24h`, `90m`.
    #[arg(long, env = "TOKEN_REFRESH_INTERVAL", default_value = "24h", value_parser = duration)]
    pub token_refresh_interval: Duration,
}
