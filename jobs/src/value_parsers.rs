//! Parsers for values of settings.

use std::{convert::Infallible, ffi::OsStr, time::Duration};

use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};
use secrecy::SecretString;
use url::{Host, Url};

/// Reads a secret for clap.
///
/// # Errors
/// Never.
#[must_use]
pub fn secret(value: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(value))
}

/// Reads a URL for clap. Errors do not repeat the value, as clap's own would: it may contain a
/// password.
#[derive(Debug, Clone, Copy)]
pub struct UrlParser;

impl TypedValueParser for UrlParser {
    type Value = Url;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Url, clap::Error> {
        let url = value.to_str().and_then(|value| Url::parse(value).ok());
        url.ok_or_else(|| refused(command, argument, "is no address: it should look like scheme://..."))
    }
}

/// Reads the address at which browsers reach us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicUrlParser;

impl TypedValueParser for PublicUrlParser {
    type Value = Url;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Url, clap::Error> {
        let url = value.to_str().and_then(public_url);
        url.ok_or_else(|| refused(command, argument, PUBLIC_URL_FORM))
    }
}

/// Reads the address of a service that gets secrets of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceUrlParser;

impl TypedValueParser for ServiceUrlParser {
    type Value = Url;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Url, clap::Error> {
        let url = value.to_str().and_then(|value| Url::parse(value).ok()).filter(is_private_way);
        url.ok_or_else(|| {
            refused(command, argument, "should look like https://...; plain http is for private networks only")
        })
    }
}

/// Returns true if what is sent to an address is encrypted or stays in a network of our own.
pub(crate) fn is_private_way(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && url.host_str().is_some_and(is_own_host)
}

/// Returns true if a host is in a network of our own, by its name or address.
pub(crate) fn is_own_host(host: &str) -> bool {
    match Host::parse(host) {
        // A name without a dot is known only where it is, such as in a composition of containers.
        Ok(Host::Domain(name)) => !name.contains('.') || OWN_DOMAINS.iter().any(|domain| name.ends_with(domain)),
        Ok(Host::Ipv4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(Host::Ipv6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => false,
    }
}

/// Ends of names that public name servers do not know.
const OWN_DOMAINS: [&str; 4] = [".localhost", ".local", ".internal", ".test"];

fn refused(command: &Command, argument: Option<&Arg>, words: &str) -> clap::Error {
    let name = argument.and_then(Arg::get_env).unwrap_or_default().to_string_lossy();
    clap::Error::raw(ErrorKind::ValueValidation, format!("{name} {words}\n")).with_cmd(command)
}

/// The rule that the address at which browsers reach us must follow.
const PUBLIC_URL_FORM: &str =
    "should look like https://linecook.example.com, without a path; plain http is for this machine only";

/// Reads an address that secrets are sent to, and that browsers use as the origin of our pages.
fn public_url(value: &str) -> Option<Url> {
    let url = Url::parse(value).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_this_machine(&url);
    (is_bare && is_safe).then_some(url)
}

/// Returns true if an address can only lead to the machine itself.
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads a duration for clap: a number and its unit.
pub(crate) fn duration(value: &str) -> Result<Duration, String> {
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
    fn services_get_secrets_by_https_or_in_a_network_of_our_own() {
        let is_taken = |url: &str| is_private_way(&Url::parse(url).unwrap());
        for taken in [
            "https://graph.facebook.com",
            "http://127.0.0.1:9000/x",
            "http://sandbox:9000",
            "http://10.1.2.3",
            "http://[::1]:1",
            "http://ai.railway.internal/v1",
        ] {
            assert!(is_taken(taken), "{taken}");
        }
        for refused in ["http://graph.facebook.com", "http://198.51.100.7", "http://[2001:db8::1]", "ftp://sandbox"] {
            assert!(!is_taken(refused), "{refused}");
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
