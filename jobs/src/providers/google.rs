//! Google, as a way to sign in. Source: Google's "`OpenID Connect`", userinfo.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    AppCredentials, Call, Integration, Listing, OauthApp, OauthClient, Profile, Provider, ProvidersConfig, Purpose,
    SignIn, http::Api, oauth,
};
use crate::value_parsers::{ServiceUrlParser, secret};

const PROVIDER: Provider = Provider::Google;

/// Signing in with Google.
pub(super) const LISTING: Listing =
    Listing { provider: PROVIDER, purpose: Purpose::SignIn, setting: "GOOGLE_CLIENT_ID", set_up };

/// The app at Google, and Google's addresses.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[expect(clippy::struct_field_names, reason = "these are the names of the settings")]
pub struct Config {
    /// The id of the app at Google. Without it, signing in with Google is not offered.
    #[arg(long, env = "GOOGLE_CLIENT_ID")]
    pub google_client_id: Option<String>,
    /// The secret of that app.
    #[arg(long, env = "GOOGLE_CLIENT_SECRET", hide_env_values = true, value_parser = secret)]
    pub google_client_secret: Option<SecretString>,
    /// Google's page on which people sign in.
    #[arg(long, env = "GOOGLE_AUTH_URL", value_parser = ServiceUrlParser, default_value = "https://accounts.google.com/o/oauth2/v2/auth")]
    pub google_auth_url: Url,
    /// The address at which Google exchanges codes for tokens.
    #[arg(long, env = "GOOGLE_TOKEN_URL", value_parser = ServiceUrlParser, default_value = "https://oauth2.googleapis.com/token")]
    pub google_token_url: Url,
    /// The base address of Google's APIs.
    #[arg(long, env = "GOOGLE_API_URL", value_parser = ServiceUrlParser, default_value = "https://www.googleapis.com")]
    pub google_api_url: Url,
}

#[cfg(any(test, feature = "testing"))]
impl Config {
    pub(super) fn of_sandbox(base: &str) -> Self {
        let url = |path: &str| Url::parse(&format!("{base}/{path}")).expect("an address");
        Self {
            google_client_id: Some("google-sandbox-app".to_owned()),
            google_client_secret: Some("google-sandbox-secret".into()),
            google_auth_url: url("google/o/oauth2/v2/auth"),
            google_token_url: url("google/token"),
            google_api_url: url("google"),
        }
    }
}

fn set_up(config: &ProvidersConfig, redirect_uri: String) -> anyhow::Result<Option<Integration>> {
    let config = &config.google;
    let settings = (LISTING.setting, "GOOGLE_CLIENT_SECRET");
    let (id, secret) = (config.google_client_id.as_ref(), config.google_client_secret.as_ref());
    let Some(credentials) = AppCredentials::of(PROVIDER, settings, id, secret)? else {
        return Ok(None);
    };
    let api = Api::new(PROVIDER, oauth::failure_of);
    let app = OauthApp {
        credentials,
        authorize_url: config.google_auth_url.to_string(),
        token_url: config.google_token_url.to_string(),
        redirect_uri,
        scopes: "openid email profile".to_owned(),
        parameters: &[],
        takes_pkce: true,
    };
    let base = config.google_api_url.as_str().trim_end_matches('/').to_owned();
    let oauth = OauthClient::new(app, api.clone())?;
    Ok(Some(Integration {
        oauth: Some(oauth),
        sign_in: Some(Arc::new(Google { api, base })),
        ..Integration::new(PROVIDER)
    }))
}

#[derive(Debug)]
struct Google {
    api: Api,
    base: String,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    picture: Option<String>,
}

impl SignIn for Google {
    fn profile<'a>(&'a self, token: &'a SecretString) -> Call<'a, Profile> {
        Box::pin(async move {
            let url = format!("{}/oauth2/v3/userinfo", self.base);
            let answer = self.api.send(self.api.client.get(url).bearer_auth(token.expose_secret())).await?;
            let user: UserInfo = self.api.parse(&answer.body)?;
            Ok(Profile {
                subject: user.sub,
                email: user.email.filter(|_| user.email_verified),
                name: user.name,
                first_name: user.given_name,
                last_name: user.family_name,
                picture_url: user.picture,
            })
        })
    }
}
