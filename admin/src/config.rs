//! The settings about requests.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

use jobs::{tenants::plans::Plan, value_parsers::is_this_machine};
use url::{Origin, Url};

/// The rate limits, the time limits of bodies, and the origins that may read responses.
#[derive(Debug, Clone, clap::Args)]
pub struct HttpConfig {
    /// The rate limits.
    #[command(flatten)]
    pub rates: RateConfig,
    /// Origins whose pages may read responses:
    /// `https://app.example.com,https://staging.example.com`. None by default.
    #[arg(long, env = "CORS_ORIGINS", default_value = "")]
    pub cors_origins: Origins,
    /// The seconds in which the body of a request has to arrive. An upload may take ten times as
    /// long.
    #[arg(long, env = "REQUEST_BODY_SECONDS", default_value = "30", value_parser = seconds)]
    pub body_time: Duration,
    /// Connections.
    #[command(flatten)]
    pub connections: ConnectionConfig,
    /// Memory and disk.
    #[command(flatten)]
    pub budgets: BudgetConfig,
}

/// The bounds of connections: their number, and the time that they may wait for their peer.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ConnectionConfig {
    /// The most connections at once. A new one takes the place of the one that has waited longest
    /// for its peer.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = Self::default().total,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub total: u32,
    /// The most connections of one address. Behind proxies: the most running requests of one
    /// address.
    #[arg(long, env = "MAX_CONNECTIONS_PER_CLIENT", default_value_t = Self::default().per_client,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub per_client: u32,
    /// The seconds in which the head of a request has to arrive.
    #[arg(long, env = "REQUEST_HEAD_SECONDS", default_value = "10", value_parser = seconds)]
    pub head_time: Duration,
    /// The seconds for which a connection may be idle between requests. Set more than the proxies
    /// in front do.
    #[arg(long, env = "IDLE_CONNECTION_SECONDS", default_value = "95", value_parser = seconds)]
    pub idle_time: Duration,
    /// The seconds for which nobody may read a response. Each 4 KiB that are read give a second
    /// back.
    #[arg(long, env = "RESPONSE_STALL_SECONDS", default_value = "20", value_parser = seconds)]
    pub stall_time: Duration,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            total: 512,
            per_client: 128,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(95),
            stall_time: Duration::from_secs(20),
        }
    }
}

/// The memory and disk that the requests of all clients may take at once.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct BudgetConfig {
    /// MiB of bodies in memory, of requests and responses together.
    #[arg(long, env = "BODY_MEMORY_MIB", default_value_t = Self::default().body_memory_mib,
        value_parser = clap::value_parser!(u32).range(16..=65_536))]
    pub body_memory_mib: u32,
    /// MiB of uploads on the disk, in the folder for temporary files.
    #[arg(long, env = "UPLOAD_DISK_MIB", default_value_t = Self::default().upload_disk_mib,
        value_parser = clap::value_parser!(u32).range(32..=65_536))]
    pub upload_disk_mib: u32,
    /// MiB of uploaded pictures in memory, until they are decoded and stored.
    #[arg(long, env = "PICTURE_MEMORY_MIB", default_value_t = Self::default().picture_memory_mib,
        value_parser = clap::value_parser!(u32).range(20..=65_536))]
    pub picture_memory_mib: u32,
    /// MiB of memory for pictures that are decoded.
    #[arg(long, env = "DECODING_MEMORY_MIB", default_value_t = Self::default().decoding_memory_mib,
        value_parser = clap::value_parser!(u32).range(256..=65_536))]
    pub decoding_memory_mib: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { body_memory_mib: 64, upload_disk_mib: 1024, picture_memory_mib: 40, decoding_memory_mib: 256 }
    }
}

/// The rate limits of plans and of callers without credentials.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RateConfig {
    /// Requests an hour of a tenant on the plan basic, and of each of its keys and people. `none`:
    /// no limit.
    #[arg(long, env = "RATE_LIMIT_BASIC", default_value = "100")]
    pub basic: Rate,
    /// The same on the plan pro.
    #[arg(long, env = "RATE_LIMIT_PRO", default_value = "500")]
    pub pro: Rate,
    /// The same on the plan enterprise.
    #[arg(long, env = "RATE_LIMIT_ENTERPRISE", default_value = "2000")]
    pub enterprise: Rate,
    /// Requests a minute of one machine that have no credentials or are to sign in. `none`: no
    /// limit.
    #[arg(long, env = "RATE_LIMIT_CLIENT", default_value = "30")]
    pub client: Rate,
}

impl RateConfig {
    /// Returns the rate of a plan.
    #[must_use]
    pub fn of_plan(&self, plan: Plan) -> Rate {
        match plan {
            Plan::Basic => self.basic,
            Plan::Pro => self.pro,
            Plan::Enterprise => self.enterprise,
        }
    }
}

/// A number of requests in a period; `None` means no limit, and is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Option<NonZeroU32>);

impl Rate {
    /// No limit.
    pub const ANY: Self = Self(None);

    /// Returns a multiple of the rate.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self(self.0.and_then(|requests| NonZeroU32::new(requests.get().saturating_mul(factor))))
    }

    /// Returns the greater of two rates.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(two)) => Self(Some(one.max(two))),
            (None, _) | (_, None) => Self::ANY,
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        if value == "none" {
            return Ok(Self::ANY);
        }
        match value.parse() {
            Ok(requests) => Ok(Self(Some(requests))),
            Err(_) => Err("it should be a number from 1, or none".to_owned()),
        }
    }
}

/// Origins whose pages may read responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Returns true if none is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if pages of this origin may read responses.
    #[must_use]
    pub fn list(&self, origin: &str) -> bool {
        self.0.iter().any(|listed| listed == origin)
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let named = value.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        named.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// Reads an origin as browsers write it. Plain http is accepted only for this machine.
fn origin(value: &str) -> Result<String, String> {
    let wrong = || format!("{value:?} should look like https://app.example.com: no path, and no * for any");
    let url = Url::parse(value).map_err(|_| wrong())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&url));
    match url.origin() {
        origin @ Origin::Tuple(..) if is_bare && is_safe && !value.contains('*') => Ok(origin.ascii_serialization()),
        Origin::Tuple(..) | Origin::Opaque(_) => Err(wrong()),
    }
}

fn seconds(value: &str) -> Result<Duration, String> {
    match value.parse::<u16>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        Ok(_) | Err(_) => Err("it should be a number of seconds, 1 to 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole_addresses_of_sites() {
        let origins: Origins =
            "https://app.example.com, http://localhost:3000,https://b.example.com:443/".parse().unwrap();
        for listed in ["https://app.example.com", "http://localhost:3000", "https://b.example.com"] {
            assert!(origins.list(listed), "{listed}");
        }
        for other in ["https://example.com", "http://app.example.com", "https://app.example.com.evil.com", "null", ""] {
            assert!(!origins.list(other), "{other}");
        }
        assert!("".parse::<Origins>().unwrap().is_empty());
        for wrong in ["*", "https://*.example.com", "app.example.com", "http://example.com", "https://a.com/x", "null"]
        {
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_a_number_or_none() {
        let rate = |value: &str| value.parse::<Rate>();
        assert_eq!(rate("none"), Ok(Rate::ANY));
        assert_eq!(rate("100"), Ok(Rate(NonZeroU32::new(100))));
        for wrong in ["", "0", "-1", "1.5", "NONE", "many"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(rate("5").unwrap().max(rate("7").unwrap()), rate("7").unwrap());
        assert_eq!(rate("5").unwrap().max(Rate::ANY), Rate::ANY);
    }
}
