//! Configuration that several binaries share. Read from the environment once, at the start.

use std::{convert::Infallible, ffi::OsStr, time::Duration};

use anyhow::Context as _;
use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::{
    engine::{Db, Window},
    mail::MailConfig,
    people::external_login::ExternalLoginConfig,
    providers::{ai::AiConfig, meta::MetaConfig},
    secrets::Keyring,
    tenants::plans::PlansConfig,
};

/// Reads a secret for clap.
///
/// # Errors
/// Never.
#[must_use]
pub fn secret(value: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(value))
}

/// Reads an address for clap. One that will not do is not repeated, as clap does by itself: a password may be in it.
#[derive(Debug, Clone, Copy)]
pub struct Address;

impl TypedValueParser for Address {
    type Value = Url;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Url, clap::Error> {
        let url = value.to_str().and_then(|value| Url::parse(value).ok());
        url.ok_or_else(|| refused(command, argument, "is no address: it should look like scheme://..."))
    }
}

/// Reads the address at which browsers reach us.
#[derive(Debug, Clone, Copy)]
struct PublicAddress;

impl TypedValueParser for PublicAddress {
    type Value = Url;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Url, clap::Error> {
        let url = value.to_str().and_then(public_url);
        url.ok_or_else(|| refused(command, argument, PUBLIC_URL_FORM))
    }
}

fn refused(command: &Command, argument: Option<&Arg>, words: &str) -> clap::Error {
    let name = argument.and_then(Arg::get_env).unwrap_or_default().to_string_lossy();
    clap::Error::raw(ErrorKind::ValueValidation, format!("{name} {words}\n")).with_cmd(command)
}

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
    #[arg(long, env = "STORAGE_URL", hide_env_values = true, value_parser = Address)]
    pub storage_url: Url,
    /// Set by Heroku: web and worker run on machines of their own.
    #[arg(long, env = "DYNO", hide = true)]
    pub dyno: Option<String>,
    /// Set by Railway: likewise.
    #[arg(long, env = "RAILWAY_ENVIRONMENT_ID", hide = true)]
    pub railway_environment_id: Option<String>,
    /// The address at which browsers reach the admin: `https://...`. Plain http only where nobody else listens: on this machine.
    #[arg(long, env = "PUBLIC_URL", value_parser = PublicAddress)]
    pub public_url: Url,
    /// What keeps things in order by itself.
    #[command(flatten)]
    pub upkeep: UpkeepConfig,
    /// What tenants may use, by their plan.
    #[command(flatten)]
    pub plans: PlansConfig,
    /// Meta.
    #[command(flatten)]
    pub meta: MetaConfig,
    /// OpenAI.
    #[command(flatten)]
    pub ai: AiConfig,
    /// Mail.
    #[command(flatten)]
    pub mail: MailConfig,
    /// Google and GitHub, where people sign in.
    #[command(flatten)]
    pub external_login: ExternalLoginConfig,
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

/// What an address looks like that browsers reach us at.
const PUBLIC_URL_FORM: &str =
    "should look like https://linecook.example.com, without a path; plain http is for this machine only";

/// Reads an address that secrets are sent to, and that browsers name as the origin of our pages.
fn public_url(value: &str) -> Option<Url> {
    let url = Url::parse(value).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_this_machine(&url);
    (is_bare && is_safe).then_some(url)
}

/// Whether an address can only lead to the machine that asks.
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn duration(value: &str) -> Result<Duration, String> {
    let unit_seconds = match value.bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => 0,
    };
    let number = value.get(..value.len().saturating_sub(1)).and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(number) if number > 0 && unit_seconds > 0 => Ok(Duration::from_secs(u64::from(number) * unit_seconds)),
        _ => Err("it should look like 24h, 90m, 30s or 7d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_https_or_stay_on_this_machine() {
        for taken in [
            "https://linecook.example.com",
            "https://x.com/",
            "http://localhost:8080",
            "http://127.0.0.1:1",
            "http://[::1]",
        ] {
            assert!(public_url(taken).is_some(), "{taken}");
        }
        for refused in [
            "http://linecook.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "http://0.0.0.0:8080",
            "ftp://localhost",
            "linecook.example.com",
            "https://a:b@x.com",
            "https://x.com/?a=b",
            "https://x.com/linecook",
            "",
        ] {
            assert!(public_url(refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(duration("90m"), Ok(Duration::from_mins(90)));
        for value in ["", "h", "24", "0h", "-1h", "1.5h", "24 h", "24µ"] {
            assert!(duration(value).is_err(), "{value}");
        }
    }
}
