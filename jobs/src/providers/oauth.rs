//! The OAuth authorization code flow (RFC 6749) with PKCE (RFC 7636), for connecting accounts and
//! for signing in.

use std::time::Duration;

use anyhow::bail;
use futures_util::future::BoxFuture;
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicRequestTokenError, BasicTokenResponse},
};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    AuthorizationRequest, Class, Failure, OnWrite, Provider, ProviderError,
    http::{Answer, Api},
};
use crate::secrets::is_placeholder;

/// The longest word of an error response that is repeated in our errors.
const LONGEST_WORD: usize = 40;

/// The id and the secret of our app at a provider.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
}

impl AppCredentials {
    /// Returns the credentials that are set, under the setting names of the id and the secret.
    /// Returns `None` without an id.
    ///
    /// # Errors
    /// Returns an error if there is an id and no secret.
    pub fn of(
        provider: Provider,
        settings: (&str, &str),
        id: Option<&String>,
        secret: Option<&SecretString>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Ok(None);
        };
        let Some(secret) = secret.filter(|secret| !secret.expose_secret().is_empty()) else {
            let ((id, secret), label) = (settings, provider.label());
            bail!("{secret} is missing: it goes with {id}, and is shown with the app at {label}");
        };
        if is_placeholder(secret.expose_secret()) {
            bail!("{} is the word of an example: set the one that is shown with the app", settings.1);
        }
        Ok(Some(Self { id: id.clone(), secret: secret.clone() }))
    }
}

/// Our app at a provider, and the provider's addresses.
#[derive(Debug, Clone)]
pub struct OauthApp {
    /// The app.
    pub credentials: AppCredentials,
    /// The page on which people log in.
    pub authorize_url: String,
    /// The address at which codes are exchanged for tokens.
    pub token_url: String,
    /// The address to which browsers come back. The dialog and the exchange need exactly the same.
    pub redirect_uri: String,
    /// The requested scopes, separated as the provider wants it.
    pub scopes: String,
    /// Further parameters of the dialog.
    pub parameters: &'static [(&'static str, &'static str)],
    /// True if the provider supports PKCE.
    pub takes_pkce: bool,
}

/// The token from an exchanged code or from a refresh.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub secret: SecretString,
    /// Its life; `None` if the provider did not say.
    pub expires_in: Option<Duration>,
    /// The token that gets the next one; `None` if the provider has none, or keeps the old one.
    pub refresh: Option<SecretString>,
}

/// A client for one app.
#[derive(Debug, Clone)]
pub struct OauthClient {
    client: BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
    scopes: Scope,
    parameters: &'static [(&'static str, &'static str)],
    takes_pkce: bool,
    api: Api,
}

impl OauthClient {
    /// Returns a client that calls the provider through its `api`.
    ///
    /// # Errors
    /// Returns an error if an address cannot be used.
    pub(super) fn new(app: OauthApp, api: Api) -> anyhow::Result<Self> {
        let client = BasicClient::new(ClientId::new(app.credentials.id))
            .set_client_secret(ClientSecret::new(app.credentials.secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(app.authorize_url)?)
            .set_token_uri(TokenUrl::new(app.token_url)?)
            .set_redirect_uri(RedirectUrl::new(app.redirect_uri)?)
            .set_auth_type(AuthType::RequestBody);
        let scopes = Scope::new(app.scopes);
        Ok(Self { client, scopes, parameters: app.parameters, takes_pkce: app.takes_pkce, api })
    }

    /// Returns true if a code is exchanged together with the verifier of its request.
    #[must_use]
    pub fn takes_pkce(&self) -> bool {
        self.takes_pkce
    }

    /// Returns true if a browser that brought back this issuer comes from this provider. Source: RFC
    /// 9207.
    #[must_use]
    pub fn is_issuer(&self, issuer: &str) -> bool {
        Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == self.client.auth_uri().url().origin())
    }

    /// Returns the address to send a browser to for logging in.
    #[must_use]
    pub fn authorize_url(&self, request: &AuthorizationRequest) -> Url {
        let state = CsrfToken::new(request.state.clone());
        let mut dialog = self.client.authorize_url(|| state).add_scope(self.scopes.clone());
        for &(name, value) in self.parameters {
            dialog = dialog.add_extra_param(name, value);
        }
        if self.takes_pkce {
            let verifier = PkceCodeVerifier::new(request.verifier.expose_secret().to_owned());
            dialog = dialog.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        dialog.url().0
    }

    /// Exchanges an authorization code, which works once. If the provider supports PKCE, it needs
    /// the verifier of the request.
    ///
    /// # Errors
    /// Returns [`ProviderError`], of class [`Class::Restart`] if the code was used.
    pub async fn exchange(&self, code: &SecretString, verifier: Option<&SecretString>) -> Result<Token, ProviderError> {
        let mut exchange = self.client.exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()));
        if let Some(verifier) = verifier.filter(|_| self.takes_pkce) {
            exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()));
        }
        let answer = exchange.request_async(self).await;
        Ok(token(&answer.map_err(|error| restarting(self.failed(error)))?))
    }

    /// Exchanges a refresh token. Source: RFC 6749, "Refreshing an Access Token".
    ///
    /// # Errors
    /// Returns [`ProviderError`], of class [`Class::Reauth`] if the grant is dead.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Token, ProviderError> {
        let refresh_token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let answer = self.client.exchange_refresh_token(&refresh_token).request_async(self).await;
        Ok(token(&answer.map_err(|error| self.failed(error))?))
    }

    fn failed(&self, error: BasicRequestTokenError<ProviderError>) -> ProviderError {
        match error {
            RequestTokenError::Request(error) => error,
            // The unreadable body may contain a token.
            RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                self.api.error(Failure::unexpected())
            }
        }
    }
}

fn token(answer: &BasicTokenResponse) -> Token {
    Token {
        secret: SecretString::from(answer.access_token().secret().clone()),
        expires_in: answer.expires_in(),
        refresh: answer.refresh_token().map(|token| SecretString::from(token.secret().clone())),
    }
}

/// Turns a refusal of a code into [`Class::Restart`]: only a new login helps.
fn restarting(mut error: ProviderError) -> ProviderError {
    if let Failure::Refused { class: class @ (Class::Permanent | Class::Reauth), .. } = &mut error.failure {
        *class = Class::Restart;
    }
    error
}

/// Our HTTP client for oauth2, which turns error responses into the provider's own errors.
impl<'c> AsyncHttpClient<'c> for OauthClient {
    type Error = ProviderError;
    type Future = BoxFuture<'c, Result<HttpResponse, ProviderError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request =
                reqwest::Request::try_from(request).map_err(|error| self.api.error(Failure::from_reqwest(error)))?;
            let answer = self.api.send(RequestBuilder::from_parts(self.api.client.clone(), request)).await?;
            Ok(HttpResponse::new(answer.body.to_vec()))
        })
    }
}

/// The error response of providers that follow the protocol. GitHub sends it with status 200.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Returns the failure that such a response reports, if any. Source: RFC 6749, "Error Response".
pub(super) fn failure_of(answer: &Answer) -> Option<Failure> {
    match serde_json::from_slice::<Refusal>(&answer.body) {
        Ok(Refusal { error }) if answer.status < 500 => Some(Failure::Refused {
            class: class_of(&error),
            on_write: OnWrite::ReadBack,
            message: word(error),
            wait: None,
        }),
        Ok(_) | Err(_) if answer.is_success() => None,
        Ok(_) | Err(_) => Some(Failure::UnexpectedResponse { status: answer.status, wait: None }),
    }
}

fn class_of(error: &str) -> Class {
    match error {
        "invalid_client" | "incorrect_client_credentials" | "redirect_uri_mismatch" | "unauthorized_client" => {
            Class::Config
        }
        // The second one is of RFC 6750.
        "invalid_grant" | "invalid_token" => Class::Reauth,
        "temporarily_unavailable" => Class::Transient,
        // GitHub requires a verified address before a person may sign in elsewhere.
        "unverified_user_email" => Class::Permission,
        _ => Class::Permanent,
    }
}

/// Returns an error code of the protocol as it is, and hides anything else, which may repeat our
/// request.
fn word(error: String) -> String {
    let is_word = error.len() <= LONGEST_WORD && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { error } else { "(not a word of the protocol)".to_owned() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::HeaderMap;

    use super::*;

    fn failure(status: u16, body: &str) -> Option<Failure> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        failure_of(&Answer { status, headers: HeaderMap::new(), body, clock: None })
    }

    fn words(status: u16, body: &str) -> Option<String> {
        failure(status, body).map(|failure| failure.to_string())
    }

    #[test]
    fn a_refusal_is_one_whatever_its_status() {
        for status in [200, 400, 401] {
            let words = words(status, r#"{"error": "bad_verification_code"}"#);
            assert_eq!(words.as_deref(), Some("refused: bad_verification_code"));
        }
        let unverified = failure(200, r#"{"error": "unverified_user_email"}"#);
        assert!(matches!(unverified, Some(Failure::Refused { class: Class::Permission, .. })));
        assert_eq!(words(200, r#"{"access_token": "ya29.x"}"#), None);
    }

    #[test]
    fn what_is_unexpected_says_its_status_and_repeats_nothing() {
        for (status, body) in [(302, "<html>"), (503, r#"{"error": "oops"}"#)] {
            let expected = format!("a response that the provider does not document, with status {status}");
            assert_eq!(words(status, body), Some(expected));
        }
        for error in ["code 4/0AbCdEf", "gho_16C7e42F292c6912E7710c838347Ae178B4a", &"a".repeat(41)] {
            let words = words(400, &format!(r#"{{"error": "{error}"}}"#)).unwrap();
            assert_eq!(words, "refused: (not a word of the protocol)");
        }
    }
}
