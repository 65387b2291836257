//! Meta: Facebook Login and the Graph API for Pages.
//!
//! Tokens travel in headers and form bodies, never in a URL; every server call carries `appsecret_proof`.

mod call;
mod codes;
mod error;
mod page;
mod wait;

use std::time::Duration;

use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, RedirectUrl, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
    basic::BasicClient,
};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use self::call::parse;
use super::http;
use crate::ids::AccountId;

pub use codes::{Class, OnWrite};
pub use error::{MetaError, ReadError};
pub use page::{PageApi, PagePost, Pictures, Thing};

/// What publishing to a Page needs. Source: Pages API, "Posts".
pub const SCOPES: [&str; 3] = ["pages_show_list", "pages_read_engagement", "pages_manage_posts"];

/// Without these nothing can be published, or looked for afterwards. Source: Pages API, "Posts", "Permissions".
pub const PUBLISHING_SCOPES: [&str; 2] = ["pages_manage_posts", "pages_read_engagement"];

/// What the network is called in the ledger.
pub const NETWORK: &str = "facebook";

/// A page of a list holds this many at most. Source: Graph API, "Paginated results".
const PAGE_SIZE: &str = "100";

/// The app at Meta and where Meta is.
#[derive(Debug, Clone, clap::Args)]
pub struct MetaConfig {
    /// The app's id.
    #[arg(long, env = "FACEBOOK_APP_ID")]
    pub facebook_app_id: String,
    /// The app's secret.
    #[arg(long, env = "FACEBOOK_APP_SECRET", hide_env_values = true, value_parser = crate::config::secret)]
    pub facebook_app_secret: SecretString,
    /// Base address of the Graph API.
    #[arg(long, env = "META_GRAPH_URL", value_parser = crate::config::Address, default_value = "https://graph.facebook.com")]
    pub meta_graph_url: Url,
    /// Base address of the login dialog.
    #[arg(long, env = "META_DIALOG_URL", value_parser = crate::config::Address, default_value = "https://www.facebook.com")]
    pub meta_dialog_url: Url,
    /// Version of both.
    #[arg(long, env = "META_GRAPH_VERSION", default_value = "v25.0")]
    pub meta_graph_version: String,
}

/// A client for one app.
#[derive(Debug, Clone)]
pub struct Meta {
    config: MetaConfig,
    client: reqwest::Client,
    effects: reqwest::Client,
}

/// A user's token.
#[derive(Debug, Clone)]
pub struct UserToken {
    /// The token.
    pub token: SecretString,
    /// Its life; `None` when Meta did not say.
    pub expires_in: Option<Duration>,
}

/// The person behind a token.
#[derive(Debug, Clone, Deserialize)]
pub struct Person {
    /// App-scoped id.
    pub id: String,
}

/// A Page that a person manages.
#[derive(Debug, Clone, Deserialize)]
pub struct Page {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its token; missing when the person did not share the Page.
    pub access_token: Option<SecretString>,
    /// What the person may do there.
    #[serde(default)]
    pub tasks: Vec<String>,
}

impl Page {
    /// Whether the person may publish there. Source: Pages API, "Tasks".
    #[must_use]
    pub fn can_publish(&self) -> bool {
        self.tasks.iter().any(|task| task == "CREATE_CONTENT" || task == "MANAGE")
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
    status: String,
}

type Login = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl Meta {
    /// A client of the configured app.
    #[must_use]
    pub fn new(config: MetaConfig) -> Self {
        Self { config, client: http::client(), effects: http::effect_client() }
    }

    /// The app that posts are made with.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.config.facebook_app_id
    }

    /// Where to send a browser to log in; it comes back to `redirect_uri` with `state`. What somebody declined before is asked
    /// again. Source: Facebook Login, "Re-asking for declined permissions".
    ///
    /// # Errors
    /// A configured address or the redirect address is malformed.
    pub fn authorize_url(&self, redirect_uri: &str, state: String) -> anyhow::Result<Url> {
        let scopes = Scope::new(SCOPES.join(","));
        let login = self.login(redirect_uri)?;
        let dialog = login.authorize_url(|| CsrfToken::new(state)).add_scope(scopes);
        Ok(dialog.add_extra_param("auth_type", "rerequest").url().0)
    }

    fn login(&self, redirect_uri: &str) -> anyhow::Result<Login> {
        let MetaConfig { facebook_app_id, facebook_app_secret, meta_graph_version, .. } = &self.config;
        let dialog = self.config.meta_dialog_url.as_str().trim_end_matches('/');
        Ok(BasicClient::new(ClientId::new(facebook_app_id.clone()))
            .set_client_secret(ClientSecret::new(facebook_app_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(format!("{dialog}/{meta_graph_version}/dialog/oauth"))?)
            .set_token_uri(TokenUrl::new(self.url("oauth/access_token"))?)
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned())?)
            .set_auth_type(AuthType::RequestBody))
    }

    /// Exchanges an authorization code, which works once, for a short-lived user token.
    ///
    /// # Errors
    /// [`MetaError`]; class [`Class::RestartLogin`] when the code was used.
    ///
    /// # Panics
    /// If `redirect_uri` is malformed; it was accepted when the login began.
    pub async fn exchange_code(&self, code: &SecretString, redirect_uri: &str) -> Result<UserToken, MetaError> {
        let login = self.login(redirect_uri).expect("the login began with these addresses");
        let code = AuthorizationCode::new(code.expose_secret().to_owned());
        let answer = login.exchange_code(code).request_async(self).await.map_err(|error| match error {
            // Whatever is wrong with a code, only a new login mends it.
            RequestTokenError::Request(MetaError::Refused {
                class: Class::Permanent,
                code,
                subcode,
                message,
                account_id,
                wait,
            }) => MetaError::Refused { class: Class::RestartLogin, code, subcode, message, account_id, wait },
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                MetaError::unexpected()
            }
        })?;
        let token = SecretString::from(answer.access_token().secret().clone());
        Ok(UserToken { token, expires_in: answer.expires_in() })
    }

    /// Exchanges a living user token for one with a fresh life of about 60 days.
    ///
    /// # Errors
    /// [`MetaError`]; class [`Class::Reauth`] when the token has died.
    pub async fn extend(&self, token: &SecretString) -> Result<UserToken, MetaError> {
        let form = [
            ("grant_type", "fb_exchange_token"),
            ("client_id", self.config.facebook_app_id.as_str()),
            ("client_secret", self.config.facebook_app_secret.expose_secret()),
            ("fb_exchange_token", token.expose_secret()),
        ];
        let request = self.client.post(self.url("oauth/access_token")).form(&form);
        let request = request.build().map_err(MetaError::from_reqwest)?;
        let answer: TokenAnswer = parse(&self.execute(&self.client, request, None).await?)?;
        Ok(UserToken { token: answer.access_token, expires_in: answer.expires_in.map(Duration::from_secs) })
    }

    /// The person behind a user token.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn me(&self, token: &SecretString) -> Result<Person, MetaError> {
        self.get("me", token, &[("fields", "id")], None).await
    }

    /// The permissions that the person granted, which may be fewer than were asked for.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn list_granted(&self, token: &SecretString) -> Result<Vec<String>, MetaError> {
        let list = self.list::<Permission>("me/permissions", token, &[], None).await?;
        Ok(list.items.into_iter().filter(|p| p.status == "granted").map(|p| p.permission).collect())
    }

    /// Takes back everything that the person granted us, which ends all tokens of the person for our app. Source: Facebook
    /// Login, "Revoking Permissions".
    ///
    /// # Errors
    /// [`MetaError`]; class [`Class::Reauth`] when the token has died, so that nothing is left to take back.
    pub async fn revoke(&self, token: &SecretString) -> Result<(), MetaError> {
        let request = self
            .client
            .request(Method::DELETE, self.url("me/permissions"))
            .query(&[("appsecret_proof", self.proof(token))])
            .bearer_auth(token.expose_secret());
        let request = request.build().map_err(MetaError::from_reqwest)?;
        self.execute(&self.client, request, None).await.map(|_| ())
    }

    /// The Pages that the person manages and shared with us.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn list_pages(&self, token: &SecretString) -> Result<Vec<Page>, MetaError> {
        let query = [("fields", "id,name,access_token,tasks"), ("limit", PAGE_SIZE)];
        Ok(self.list("me/accounts", token, &query, None).await?.items)
    }

    /// One Page, for publishing.
    #[must_use]
    pub fn page<'a>(&'a self, account_id: AccountId, page_id: &'a str, token: &'a SecretString) -> PageApi<'a> {
        PageApi { meta: self, account_id, page_id, token }
    }
}

/// The HTTP client that oauth2 uses: ours, so that Meta's error envelopes are read as what they are.
impl<'c> AsyncHttpClient<'c> for Meta {
    type Error = MetaError;
    type Future = BoxFuture<'c, Result<HttpResponse, MetaError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(MetaError::from_reqwest)?;
            let body = self.execute(&self.client, request, None).await?;
            Ok(HttpResponse::new(body.to_vec()))
        })
    }
}

fn appsecret_proof(secret: &SecretString, token: &SecretString) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(token.expose_secret().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_hmac_of_the_token() {
        let proof = appsecret_proof(&"app_secret_123".into(), &"EAAB_token".into());
        assert_eq!(proof, "7ac11bd217eedca6f0f7d03f8bdd3acff38646d0170d59627fdd6942047df1ca");
    }

    #[test]
    fn only_some_tasks_allow_to_publish() {
        let page = |tasks: &[&str]| Page {
            id: "1".into(),
            name: "p".into(),
            access_token: None,
            tasks: tasks.iter().map(|&task| task.into()).collect(),
        };
        assert!(page(&["ANALYZE", "CREATE_CONTENT"]).can_publish());
        assert!(!page(&["ANALYZE", "MODERATE"]).can_publish());
    }
}
