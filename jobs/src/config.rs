//! Configuration that several binaries share. Read from the environment once, at the start.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    engine::{Db, Window},
    mail::MailConfig,
    providers::{ProvidersConfig, ai::AiConfig},
    secrets::Keyring,
    tenants::plans::PlansConfig,
    value_parsers::{PublicUrlParser, UrlParser, duration, secret},
};

/// Where the ledger and the window are.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineConfig {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: SecretString,
    /// Connections to the database that jobs and requests share, at most. A worker has four of its own beside them.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value_t = 16)]
    pub database_connections: u32,
    /// Redis: `redis://host:port` or `rediss://...`.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = secret)]
    pub redis_url: SecretString,
    /// Accept any certificate from `rediss://` servers, as Heroku's self-signed ones need.
    #[arg(long, env = "REDIS_ACCEPT_INVALID_CERTS", default_value_t = false)]
    pub redis_accept_invalid_certs: bool,
    /// Put before every key in Redis, so that installations can share a server.
    #[arg(long, env = "REDIS_PREFIX", default_value = "linecook:")]
    pub redis_prefix: String,
}

impl EngineConfig {
    /// A handle on the window; connects when first used.
    ///
    /// # Errors
    /// `REDIS_URL` is malformed.
    pub fn window(&self) -> anyhow::Result<Window> {
        let mut url = self.redis_url.expose_secret().to_owned();
        if self.redis_accept_invalid_certs && url.starts_with("rediss://") {
            url.push_str("#insecure");
        }
        Window::open(&url, &self.redis_prefix)
            .map_err(|_| anyhow::anyhow!("REDIS_URL should look like redis://host:port or rediss://host:port"))
    }

    /// Connects for a program that people wait for: a transaction begins within `patience` or fails.
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
    /// It cannot be reached, or the login bypasses row-level security without a role that does not.
    pub async fn connect(&self, window: Window) -> anyhow::Result<Db> {
        Db::connect(self.database_url.expose_secret(), self.database_connections, Some(window)).await
    }
}

/// The keys for what is stored.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyringConfig {
    /// Keys for secrets at rest and the audit log: `id:base64,id:base64` of 32 bytes each; the first encrypts and signs.
    #[arg(long, env = "ENCRYPTION_KEYS", hide_env_values = true, value_parser = secret)]
    pub encryption_keys: SecretString,
}

impl KeyringConfig {
    /// The keys.
    ///
    /// # Errors
    /// One is malformed; the message does not repeat it.
    pub fn keyring(&self) -> anyhow::Result<Keyring> {
        Keyring::parse(self.encryption_keys.expose_secret())
            .context("ENCRYPTION_KEYS should look like id:base64,id:base64 with 32 bytes in each base64")
    }
}

/// Keys, storage and the services outside.
#[derive(Debug, Clone, clap::Args)]
pub struct ServicesConfig {
    /// The keys for what is stored.
    #[command(flatten)]
    pub keys: KeyringConfig,
    /// What links in mails and access tokens are signed with: 32 random characters or more.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true, value_parser = secret)]
    pub secret_key: SecretString,
    /// Where pictures are kept: `file:///folder` or `s3://bucket?region=...&endpoint=...`.
    #[arg(long, env = "STORAGE_URL", hide_env_values = true, value_parser = UrlParser)]
    pub storage_url: Url,
    /// Set by Heroku: web and worker run on machines of their own.
    #[arg(long, env = "DYNO", hide = true)]
    pub dyno: Option<String>,
    /// Set by Railway: likewise.
    #[arg(long, env = "RAILWAY_ENVIRONMENT_ID", hide = true)]
    pub railway_environment_id: Option<String>,
    /// The address at which browsers reach the admin: `https://...`. Plain http only where nobody else listens: on this machine.
    #[arg(long, env = "PUBLIC_URL", value_parser = PublicUrlParser)]
    pub public_url: Url,
    /// What keeps things in order by itself.
    #[command(flatten)]
    pub upkeep: UpkeepConfig,
    /// What tenants may use, by their plan.
    #[command(flatten)]
    pub plans: PlansConfig,
    /// Where accounts are connected, and where people sign in.
    #[command(flatten)]
    pub providers: ProvidersConfig,
    /// OpenAI.
    #[command(flatten)]
    pub ai: AiConfig,
    /// Mail.
    #[command(flatten)]
    pub mail: MailConfig,
}

/// What periodic jobs keep and renew.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct UpkeepConfig {
    /// Days that finished jobs are kept.
    #[arg(long, env = "JOB_HISTORY_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub job_history_days: u16,
    /// Days that discarded jobs are kept.
    #[arg(long, env = "JOB_HISTORY_DISCARDED_DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub job_history_discarded_days: u16,
    /// Finished jobs that are kept at most: the newest.
    #[arg(long, env = "JOB_HISTORY_ROWS", default_value_t = 1_000_000)]
    pub job_history_rows: u32,
    /// Days that the record of calls that others saw is kept, once their outcome is known.
    #[arg(long, env = "EFFECT_HISTORY_DAYS", default_value_t = 400, value_parser = clap::value_parser!(u16).range(1..))]
    pub effect_history_days: u16,
    /// User tokens that end within so many days are refreshed.
    #[arg(long, env = "TOKEN_REFRESH_THRESHOLD_DAYS", default_value_t = 7,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub token_refresh_threshold_days: u16,
    /// A token is refreshed again after this long at the earliest: `24h`, `90m`.
    #[arg(long, env = "TOKEN_REFRESH_INTERVAL", default_value = "24h", value_parser = duration)]
    pub token_refresh_interval: Duration,
}
