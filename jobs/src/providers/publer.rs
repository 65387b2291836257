//! Publer, to which people give us a key of their own. Source: Publer's API documentation.

use std::sync::Arc;

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    Call, Class, Connector, Failure, Found, FoundAccount, Integration, Listing, OnWrite, Provider, ProviderError,
    ProvidersConfig, Purpose, Token, Workspace, Workspaces,
    http::{Answer, Api},
    redact::redact,
    wait,
};
use crate::value_parsers::ServiceUrlParser;

/// Connecting a workspace.
pub(super) const LISTING: Listing =
    Listing { provider: Provider::Publer, purpose: Purpose::Key, setting: "PUBLER_URL", set_up };

/// The separator in a token: a workspace's id, and the key.
const SEPARATOR: char = ':';

/// The place of Publer. It needs no app of ours, so it is always offered.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// The base address of Publer's API.
    #[arg(long, env = "PUBLER_URL", value_parser = ServiceUrlParser, default_value = "https://app.publer.com/api/v1")]
    pub publer_url: Url,
}

#[cfg(any(test, feature = "testing"))]
impl Config {
    pub(super) fn of_sandbox(base: &str) -> Self {
        Self { publer_url: Url::parse(&format!("{base}/publer")).expect("an address") }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every provider has this signature")]
fn set_up(config: &ProvidersConfig, _redirect_uri: String) -> anyhow::Result<Option<Integration>> {
    let base = config.publer.publer_url.as_str().trim_end_matches('/').to_owned();
    let publer = Arc::new(Publer { api: Api::new(LISTING.provider, failure_of), base });
    Ok(Some(Integration {
        connector: Some(publer.clone()),
        workspaces: Some(publer),
        ..Integration::new(LISTING.provider)
    }))
}

#[derive(Debug)]
struct Publer {
    api: Api,
    base: String,
}

/// An account of a workspace.
#[derive(Deserialize)]
struct ListedAccount {
    id: String,
    name: String,
    /// The network, such as `pinterest`.
    provider: String,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

/// Returns the failure that a response reports, if any. Errors have texts only, so the status
/// counts.
fn failure_of(answer: &Answer) -> Option<Failure> {
    if answer.is_success() {
        return None;
    }
    let wait = wait::until_reset(&answer.headers);
    if answer.status == 429 {
        let message = "the rate limit of the key is reached".to_owned();
        return Some(Failure::Refused { class: Class::Rate, on_write: OnWrite::Refused, message, wait });
    }
    let class = match answer.status {
        401 => Class::Reauth,
        403 => Class::Permission,
        400..=499 => Class::Permanent,
        status => return Some(Failure::UnexpectedResponse { status, wait: None }),
    };
    let Ok(Refusal { errors }) = serde_json::from_slice(&answer.body) else {
        return Some(Failure::UnexpectedResponse { status: answer.status, wait: None });
    };
    Some(Failure::Refused { class, on_write: OnWrite::Refused, message: redact(&errors.join("; ")), wait: None })
}

/// Returns the workspace and the key in a token.
fn parts(token: &SecretString) -> (&str, &str) {
    token.expose_secret().split_once(SEPARATOR).unwrap_or_default()
}

impl Publer {
    /// Returns a request with a key, whose scheme is Publer's own.
    fn get(&self, path: &str, key: &str) -> RequestBuilder {
        self.api.client.get(format!("{}/{path}", self.base)).header("Authorization", format!("Bearer-API {key}"))
    }

    async fn workspaces(&self, key: &str) -> Result<Vec<Workspace>, ProviderError> {
        self.api.parse(&self.api.send(self.get("workspaces", key)).await?.body)
    }
}

impl Workspaces for Publer {
    fn list<'a>(&'a self, key: &'a SecretString) -> Call<'a, Vec<Workspace>> {
        Box::pin(self.workspaces(key.expose_secret()))
    }

    fn token(&self, key: &SecretString, workspace_id: &str) -> SecretString {
        format!("{workspace_id}{SEPARATOR}{}", key.expose_secret()).into()
    }
}

impl Connector for Publer {
    /// A key does not end, so it is only checked.
    fn refresh<'a>(&'a self, token: &'a Token) -> Call<'a, Token> {
        Box::pin(async move {
            self.check(&token.secret).await?;
            Ok(Token { secret: token.secret.clone(), expires_in: None, refresh: None })
        })
    }

    /// Returns the id of the workspace, which stands for the person.
    fn check<'a>(&'a self, token: &'a SecretString) -> Call<'a, String> {
        Box::pin(async move {
            let (workspace_id, key) = parts(token);
            let workspaces = self.workspaces(key).await?;
            if workspaces.iter().any(|workspace| workspace.id == workspace_id) {
                return Ok(workspace_id.to_owned());
            }
            let message = "the key does not open the workspace any more".to_owned();
            let refused = Failure::Refused { class: Class::Reauth, on_write: OnWrite::Refused, message, wait: None };
            Err(self.api.error(refused))
        })
    }

    fn scopes(&self) -> Vec<&str> {
        Vec::new()
    }

    fn discover<'a>(&'a self, token: &'a SecretString) -> Call<'a, Found> {
        Box::pin(async move {
            let (workspace_id, key) = parts(token);
            let request = self.get("accounts", key).header("Publer-Workspace-Id", workspace_id);
            let listed: Vec<ListedAccount> = self.api.parse(&self.api.send(request).await?.body)?;
            let account = |one: ListedAccount| FoundAccount {
                remote_id: one.id,
                name: format!("{} ({})", one.name, one.provider),
                token: None,
            };
            Ok(Found {
                person_id: workspace_id.to_owned(),
                granted: Vec::new(),
                missing: Vec::new(),
                accounts: listed.into_iter().map(account).collect(),
                left_out: Vec::new(),
            })
        })
    }

    /// Only its user can delete a key.
    fn revokes(&self) -> bool {
        false
    }

    fn revoke<'a>(&'a self, _token: &'a SecretString) -> Call<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::HeaderMap;

    use super::*;

    fn failure(status: u16, body: &'static str) -> Option<Failure> {
        failure_of(&Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            clock: None,
        })
    }

    #[test]
    fn the_status_of_a_refusal_counts_and_keys_in_its_text_are_hidden() {
        let body = r#"{"errors":["The key 0123456789abcdef0123456789abcdef is wrong"]}"#;
        for (status, expected) in [(401, Class::Reauth), (403, Class::Permission), (422, Class::Permanent)] {
            let Some(Failure::Refused { class, message, .. }) = failure(status, body) else { panic!("{status}") };
            assert_eq!((class, message.as_str()), (expected, "The key [hidden] is wrong"));
        }
        let limited = failure(429, r#"{"error":"Rate limit exceeded. Retry later."}"#);
        assert!(matches!(limited, Some(Failure::Refused { class: Class::Rate, .. })));
        for (status, body) in [(401, "<html>"), (502, body), (302, "")] {
            assert!(matches!(failure(status, body), Some(Failure::UnexpectedResponse { .. })), "{status}");
        }
        assert!(failure(200, "[]").is_none());
    }

    #[test]
    fn a_token_has_a_workspace_and_a_key() {
        assert_eq!(parts(&"600:key:with:colons".into()), ("600", "key:with:colons"));
        assert_eq!(parts(&"nonsense".into()), ("", ""));
    }
}
