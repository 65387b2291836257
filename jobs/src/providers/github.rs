//! GitHub, as a way to sign in. Source: GitHub's REST API, "Users" and "Emails".

use std::sync::Arc;

use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{
    AppCredentials, Call, Failure, Integration, Listing, OauthApp, OauthClient, Profile, Provider, ProviderError,
    ProvidersConfig, Purpose, SignIn, http::Api, oauth,
};
use crate::value_parsers::{ServiceUrlParser, secret};

const PROVIDER: Provider = Provider::Github;

/// Signing in with GitHub.
pub(super) const LISTING: Listing =
    Listing { provider: PROVIDER, purpose: Purpose::SignIn, setting: "GITHUB_CLIENT_ID", set_up };

/// The app at GitHub, and GitHub's addresses.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[expect(clippy::struct_field_names, reason = "these are the names of the settings")]
pub struct Config {
    /// The id of the OAuth app at GitHub. Without it, signing in with GitHub is not offered.
    #[arg(long, env = "GITHUB_CLIENT_ID")]
    pub github_client_id: Option<String>,
    /// The secret of that app.
    #[arg(long, env = "GITHUB_CLIENT_SECRET", hide_env_values = true, value_parser = secret)]
    pub github_client_secret: Option<SecretString>,
    /// The base address of GitHub's pages.
    #[arg(long, env = "GITHUB_URL", value_parser = ServiceUrlParser, default_value = "https://github.com")]
    pub github_url: Url,
    /// The base address of GitHub's API.
    #[arg(long, env = "GITHUB_API_URL", value_parser = ServiceUrlParser, default_value = "https://api.github.com")]
    pub github_api_url: Url,
}

#[cfg(any(test, feature = "testing"))]
impl Config {
    pub(super) fn of_sandbox(base: &str) -> Self {
        let url = |path: &str| Url::parse(&format!("{base}/{path}")).expect("an address");
        Self {
            github_client_id: Some("github-sandbox-app".to_owned()),
            github_client_secret: Some("github-sandbox-secret".into()),
            github_url: url("github"),
            github_api_url: url("github/api"),
        }
    }
}

fn set_up(config: &ProvidersConfig, redirect_uri: String) -> anyhow::Result<Option<Integration>> {
    let config = &config.github;
    let settings = (LISTING.setting, "GITHUB_CLIENT_SECRET");
    let (id, secret) = (config.github_client_id.as_ref(), config.github_client_secret.as_ref());
    let Some(credentials) = AppCredentials::of(PROVIDER, settings, id, secret)? else {
        return Ok(None);
    };
    let api = Api::new(PROVIDER, oauth::failure_of);
    let pages = config.github_url.as_str().trim_end_matches('/');
    let app = OauthApp {
        credentials,
        authorize_url: format!("{pages}/login/oauth/authorize"),
        token_url: format!("{pages}/login/oauth/access_token"),
        redirect_uri,
        scopes: "read:user user:email".to_owned(),
        parameters: &[],
        takes_pkce: true,
    };
    let base = config.github_api_url.as_str().trim_end_matches('/').to_owned();
    let oauth = OauthClient::new(app, api.clone())?;
    Ok(Some(Integration {
        oauth: Some(oauth),
        sign_in: Some(Arc::new(Github { api, base })),
        ..Integration::new(PROVIDER)
    }))
}

#[derive(Debug)]
struct Github {
    api: Api,
    base: String,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

impl Github {
    async fn get<T: DeserializeOwned>(&self, path: &str, token: &SecretString) -> Result<T, ProviderError> {
        let request = self.api.client.get(format!("{}/{path}", self.base)).bearer_auth(token.expose_secret());
        let answer = self.api.send(request.header(ACCEPT, "application/json")).await?;
        self.api.parse(&answer.body)
    }

    async fn list_emails(&self, token: &SecretString) -> Result<Vec<Address>, ProviderError> {
        match self.get("user/emails?per_page=100", token).await {
            // The permission was not granted. People who signed in before are found by the id
            // alone.
            Err(ProviderError { failure: Failure::UnexpectedResponse { status: 403 | 404, .. }, .. }) => Ok(Vec::new()),
            emails => emails,
        }
    }
}

impl SignIn for Github {
    fn profile<'a>(&'a self, token: &'a SecretString) -> Call<'a, Profile> {
        Box::pin(async move {
            let user: User = self.get("user", token).await?;
            let emails = self.list_emails(token).await?;
            Ok(Profile {
                subject: user.id.to_string(),
                email: emails.into_iter().find(|email| email.primary && email.verified).map(|email| email.email),
                name: Some(user.name.filter(|name| !name.trim().is_empty()).unwrap_or(user.login)),
                picture_url: user.avatar_url,
                ..Profile::default()
            })
        })
    }
}
