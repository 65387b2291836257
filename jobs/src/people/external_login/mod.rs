//! Signing in with an account elsewhere: at Google or GitHub, by the authorization code flow with state and PKCE.
//!
//! An [`AuthorizationRequest`] begins in a browser, which keeps it in a cookie; [`ExternalLogin::person`] asks the provider who came back, and
//! [`find_or_link_user`] finds out which person that is here.

mod authorization_request;
mod config;
mod error;
mod find_or_link_user;
mod github;
mod google;
mod identity;
mod store;

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _, TokenUrl, basic::BasicClient,
};
use reqwest::header::{ACCEPT, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use crate::providers::http;

pub use self::{
    authorization_request::AuthorizationRequest,
    config::ExternalLoginConfig,
    error::ExternalLoginError,
    find_or_link_user::{LinkError, find_or_link_user},
    identity::{ExternalIdentity, Provider},
};

/// How long all calls of one person may take together: a browser waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// More bytes than any answer has.
const LARGEST_ANSWER: usize = 1024 * 1024;

type Login = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Our app at a provider.
#[derive(Debug, Clone)]
struct App {
    login: Login,
    /// Base address of the API, without a slash at the end.
    api: String,
}

/// Where a provider's parts are.
struct Addresses {
    dialog: String,
    token: String,
    api: String,
}

impl App {
    /// `None` without an id.
    fn new(
        provider: Provider,
        (id, secret): (Option<&String>, Option<&SecretString>),
        addresses: Addresses,
        redirect_base: &str,
    ) -> anyhow::Result<Option<Self>> {
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Ok(None);
        };
        let (name, label) = (provider.name(), provider.label());
        let Some(secret) = secret.filter(|secret| !secret.expose_secret().is_empty()) else {
            let name = name.to_uppercase();
            bail!(
                "{name}_CLIENT_SECRET is missing: it goes with {name}_CLIENT_ID, and is shown with the app at {label}"
            );
        };
        let login = BasicClient::new(ClientId::new(id.clone()))
            .set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(addresses.dialog)?)
            .set_token_uri(TokenUrl::new(addresses.token)?)
            .set_redirect_uri(
                RedirectUrl::new(format!("{redirect_base}/sign-in/{name}/callback")).context("PUBLIC_URL")?,
            )
            .set_auth_type(AuthType::RequestBody);
        Ok(Some(Self { login, api: addresses.api }))
    }
}

/// Our apps at the providers.
#[derive(Debug, Clone)]
pub struct ExternalLogin {
    google: Option<App>,
    github: Option<App>,
    client: reqwest::Client,
}

impl ExternalLogin {
    /// The apps as configured; browsers come back to addresses below `redirect_base`.
    ///
    /// # Errors
    /// An app has an id and no secret, or an address cannot be used.
    pub fn new(config: &ExternalLoginConfig, redirect_base: &str) -> anyhow::Result<Self> {
        let base = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let google = Addresses {
            dialog: config.google_auth_url.to_string(),
            token: config.google_token_url.to_string(),
            api: base(&config.google_api_url),
        };
        let github = Addresses {
            dialog: format!("{}/login/oauth/authorize", base(&config.github_url)),
            token: format!("{}/login/oauth/access_token", base(&config.github_url)),
            api: base(&config.github_api_url),
        };
        let of_google = (config.google_client_id.as_ref(), config.google_client_secret.as_ref());
        let of_github = (config.github_client_id.as_ref(), config.github_client_secret.as_ref());
        Ok(Self {
            google: App::new(Provider::Google, of_google, google, redirect_base)?,
            github: App::new(Provider::Github, of_github, github, redirect_base)?,
            client: http::client(),
        })
    }

    fn app(&self, provider: Provider) -> Option<&App> {
        match provider {
            Provider::Google => self.google.as_ref(),
            Provider::Github => self.github.as_ref(),
        }
    }

    /// Whether people can sign in there.
    #[must_use]
    pub fn offers(&self, provider: Provider) -> bool {
        self.app(provider).is_some()
    }

    /// Where to send the browser of an attempt; `None`: nobody can sign in there.
    #[must_use]
    pub fn dialog(&self, provider: Provider, attempt: &AuthorizationRequest) -> Option<Url> {
        let verifier = PkceCodeVerifier::new(attempt.verifier.expose_secret().to_owned());
        let (url, _) = self
            .app(provider)?
            .login
            .authorize_url(|| CsrfToken::new(attempt.state.clone()))
            .add_scopes(provider.scopes().iter().map(|&scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Some(url)
    }

    /// Who a code stands for, which works once, with the verifier of its attempt.
    ///
    /// # Errors
    /// [`ExternalLoginError`], within ten seconds.
    pub async fn person(
        &self,
        provider: Provider,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Result<ExternalIdentity, ExternalLoginError> {
        let app = self.app(provider).ok_or(ExternalLoginError::NotOffered)?;
        let asked = async {
            let token = self.exchange(app, code, verifier).await?;
            match provider {
                Provider::Google => google::person(self, app, &token).await,
                Provider::Github => github::person(self, app, &token).await,
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(ExternalLoginError::Slow))
    }

    async fn exchange(
        &self,
        app: &App,
        code: &SecretString,
        verifier: &SecretString,
    ) -> Result<AccessToken, ExternalLoginError> {
        let exchange = app
            .login
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()));
        match exchange.request_async(self).await {
            Ok(answer) => Ok(answer.access_token().clone()),
            Err(RequestTokenError::Request(error)) => Err(error),
            // The body that could not be read may hold a token.
            Err(RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => {
                Err(ExternalLoginError::UnexpectedResponse { status: 200 })
            }
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        app: &App,
        path: &str,
        token: &AccessToken,
    ) -> Result<T, ExternalLoginError> {
        let request = self.client.get(format!("{}/{path}", app.api)).bearer_auth(token.secret());
        let request = request.header(ACCEPT, "application/json").build().map_err(ExternalLoginError::from_reqwest)?;
        let body = self.call(request).await?;
        serde_json::from_slice(&body).map_err(|_| ExternalLoginError::UnexpectedResponse { status: 200 })
    }

    async fn call(&self, mut request: reqwest::Request) -> Result<Vec<u8>, ExternalLoginError> {
        // GitHub refuses whoever does not name itself.
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("linecook"));
        let mut answer = self.client.execute(request).await.map_err(ExternalLoginError::from_reqwest)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(ExternalLoginError::from_reqwest)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                return Err(ExternalLoginError::UnexpectedResponse { status });
            }
        }
        ExternalLoginError::of(status, &body).map_or(Ok(body), Err)
    }
}

/// The HTTP client that oauth2 uses: ours, so that answers are read as what they are.
impl<'c> AsyncHttpClient<'c> for ExternalLogin {
    type Error = ExternalLoginError;
    type Future = BoxFuture<'c, Result<HttpResponse, ExternalLoginError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(ExternalLoginError::from_reqwest)?;
            Ok(HttpResponse::new(self.call(request).await?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(id: Option<&str>, secret: Option<&str>) -> ExternalLoginConfig {
        let url = Url::parse("https://provider.example.com/").unwrap();
        ExternalLoginConfig {
            google_client_id: id.map(str::to_owned),
            google_client_secret: secret.map(SecretString::from),
            google_auth_url: url.clone(),
            google_token_url: url.clone(),
            google_api_url: url.clone(),
            github_client_id: None,
            github_client_secret: None,
            github_url: url.clone(),
            github_api_url: url,
        }
    }

    #[test]
    fn a_provider_without_an_id_is_not_offered() {
        for (id, secret, is_offered) in
            [(None, None, false), (Some(""), None, false), (None, Some("s"), false), (Some("i"), Some("s"), true)]
        {
            let outside = ExternalLogin::new(&config(id, secret), "https://linecook.example.com").unwrap();
            assert_eq!((outside.offers(Provider::Google), outside.offers(Provider::Github)), (is_offered, false));
            assert_eq!(outside.dialog(Provider::Google, &AuthorizationRequest::new()).is_some(), is_offered);
        }
    }

    #[test]
    fn an_id_without_a_secret_stops_the_start_and_names_both() {
        for secret in [None, Some("")] {
            let error = ExternalLogin::new(&config(Some("id"), secret), "https://linecook.example.com")
                .unwrap_err()
                .to_string();
            assert!(error.contains("GOOGLE_CLIENT_SECRET") && error.contains("GOOGLE_CLIENT_ID"), "{error}");
        }
    }

    #[test]
    fn the_dialog_gets_the_state_and_a_hash_of_the_verifier_and_no_secret() {
        let outside =
            ExternalLogin::new(&config(Some("id"), Some("the-secret")), "https://linecook.example.com").unwrap();
        let attempt = AuthorizationRequest::new();
        let url = outside.dialog(Provider::Google, &attempt).unwrap();
        let part = |name: &str| url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
        assert_eq!(part("state").as_ref(), Some(&attempt.state));
        assert_eq!(part("code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(part("redirect_uri").as_deref(), Some("https://linecook.example.com/sign-in/google/callback"));
        assert_eq!(part("scope").as_deref(), Some("openid email profile"));
        assert!(!url.as_str().contains(attempt.verifier.expose_secret()) && !url.as_str().contains("the-secret"));
        assert!(!format!("{outside:?} {attempt:?}").contains("the-secret"));
    }
}
