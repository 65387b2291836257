//! Configuration that several binaries share. Read from the environment once, at the start.

use std::convert::Infallible;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    engine::{Db, Window},
    providers::{ai::AiConfig, meta::MetaConfig},
};

/// Reads a secret for clap.
///
/// # Errors
/// Never.
#[must_use]
pub fn secret(value: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(value))
}

/// Where the ledger and the window are.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineConfig {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: SecretString,
    /// Connections to the database at most.
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

    /// Connects to the database.
    ///
    /// # Errors
    /// It cannot be reached, or the login bypasses row-level security without a role that does not.
    pub async fn connect(&self, window: Window) -> anyhow::Result<Db> {
        Db::connect(self.database_url.expose_secret(), self.database_connections, Some(window)).await
    }
}

/// Keys, storage and the services outside.
#[derive(Debug, Clone, clap::Args)]
pub struct ServicesConfig {
    /// Keys for secrets at rest: `id:base64,id:base64` of 32 bytes each; the first encrypts.
    #[arg(long, env = "ENCRYPTION_KEYS", hide_env_values = true, value_parser = secret)]
    pub encryption_keys: SecretString,
    /// Where pictures are kept: `file:///folder` or `s3://bucket?region=...&endpoint=...`.
    #[arg(long, env = "STORAGE_URL", hide_env_values = true)]
    pub storage_url: Url,
    /// Set by Heroku: web and worker run on machines of their own.
    #[arg(long, env = "DYNO", hide = true)]
    pub dyno: Option<String>,
    /// Set by Railway: likewise.
    #[arg(long, env = "RAILWAY_ENVIRONMENT_ID", hide = true)]
    pub railway_environment_id: Option<String>,
    /// The address at which browsers reach the admin: `https://...`.
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Url,
    /// Meta.
    #[command(flatten)]
    pub meta: MetaConfig,
    /// OpenAI.
    #[command(flatten)]
    pub ai: AiConfig,
}
