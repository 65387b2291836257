//! Meta: Facebook Login and the Graph API for Pages.
//!
//! Tokens are sent in headers and form bodies, never in a URL. Every server call has an
//! `appsecret_proof`.

mod call;
mod codes;
mod connect;
mod error;
mod page;
mod post;
mod publish;
mod wait;

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use url::Url;

use self::{
    connect::SCOPES,
    error::{failure_of, token_failure_of},
};
use super::{
    AppCredentials, Integration, Listing, OauthApp, OauthClient, Provider, ProvidersConfig, Purpose, Reports,
    http::{self, Api},
};
use crate::{
    ids::AccountId,
    value_parsers::{ServiceUrlParser, secret},
};

/// Connecting Pages and publishing to them.
pub(super) const LISTING: Listing =
    Listing { provider: Provider::Facebook, purpose: Purpose::Connect, setting: "FACEBOOK_APP_ID", set_up };

/// The maximum number of items on a page of a list. Source: Graph API, "Paginated results".
const PAGE_SIZE: &str = "100";

/// The name in the addresses that Meta calls when a person removes our app: `/hooks/meta/...`.
const REPORTS_SENDER: &str = "meta";

/// The app at Meta, and Meta's addresses.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// The app's id. Without it, connecting Facebook Pages is not offered.
    #[arg(long, env = "FACEBOOK_APP_ID")]
    pub facebook_app_id: Option<String>,
    /// The app's secret.
    #[arg(long, env = "FACEBOOK_APP_SECRET", hide_env_values = true, value_parser = secret)]
    pub facebook_app_secret: Option<SecretString>,
    /// The base address of the Graph API.
    #[arg(long, env = "META_GRAPH_URL", value_parser = ServiceUrlParser, default_value = "https://graph.facebook.com")]
    pub meta_graph_url: Url,
    /// The base address of the login dialog.
    #[arg(long, env = "META_DIALOG_URL", value_parser = ServiceUrlParser, default_value = "https://www.facebook.com")]
    pub meta_dialog_url: Url,
    /// The version of both.
    #[arg(long, env = "META_GRAPH_VERSION", default_value = "v25.0")]
    pub meta_graph_version: String,
}

#[cfg(any(test, feature = "testing"))]
impl Config {
    pub(super) fn of_sandbox(base: &str) -> Self {
        let url = |path: &str| Url::parse(&format!("{base}/{path}")).expect("an address");
        Self {
            facebook_app_id: Some("100200300400500".to_owned()),
            facebook_app_secret: Some("sandbox-app-secret".into()),
            meta_graph_url: url("graph"),
            meta_dialog_url: url("facebook"),
            meta_graph_version: "v25.0".to_owned(),
        }
    }
}

fn set_up(config: &ProvidersConfig, redirect_uri: String) -> anyhow::Result<Option<Integration>> {
    let config = &config.meta;
    let settings = (LISTING.setting, "FACEBOOK_APP_SECRET");
    let (id, secret) = (config.facebook_app_id.as_ref(), config.facebook_app_secret.as_ref());
    let Some(credentials) = AppCredentials::of(LISTING.provider, settings, id, secret)? else {
        return Ok(None);
    };
    let (base, version) = (config.meta_graph_url.clone(), config.meta_graph_version.clone());
    let graph = Graph::new(LISTING.provider, credentials.clone(), base, version);
    let reports = Reports { sender: REPORTS_SENDER, secret: credentials.secret.clone() };
    let dialog = config.meta_dialog_url.as_str().trim_end_matches('/');
    let app = OauthApp {
        credentials,
        authorize_url: format!("{dialog}/{}/dialog/oauth", config.meta_graph_version),
        token_url: graph.url("oauth/access_token"),
        redirect_uri,
        scopes: SCOPES.join(","),
        // Permissions that somebody declined before are requested again. Source: Facebook Login,
        // "Re-asking for declined permissions".
        parameters: &[("auth_type", "rerequest")],
        takes_pkce: false,
    };
    let tokens = Api::new(LISTING.provider, token_failure_of);
    let oauth = OauthClient::new(app, tokens.clone())?;
    let facebook = Arc::new(Facebook { graph, tokens });
    Ok(Some(Integration {
        oauth: Some(oauth),
        connector: Some(facebook.clone()),
        publisher: Some(facebook),
        reports: Some(reports),
        ..Integration::new(LISTING.provider)
    }))
}

/// Facebook and its Pages.
#[derive(Debug)]
struct Facebook {
    graph: Graph,
    /// The endpoint of tokens.
    tokens: Api,
}

/// The Graph API, as one app calls it.
#[derive(Debug, Clone)]
struct Graph {
    app: AppCredentials,
    base: Url,
    version: String,
    api: Api,
    effects: reqwest::Client,
}

impl Graph {
    fn new(provider: Provider, app: AppCredentials, base: Url, version: String) -> Self {
        Self { app, base, version, api: Api::new(provider, failure_of), effects: http::effect_client() }
    }

    /// Returns the same API for calls that concern an account.
    fn on_account(&self, account_id: AccountId) -> Self {
        Self { api: self.api.on_account(account_id), ..self.clone() }
    }

    /// Returns `hex(HMAC-SHA256(app secret, token))`. Source: "Secure Graph API calls".
    fn proof(&self, token: &SecretString) -> String {
        appsecret_proof(&self.app.secret, token)
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
}
