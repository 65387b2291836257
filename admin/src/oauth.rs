//! Connecting accounts: an address for a browser, and the provider's way back.

use std::time::Duration;

use jobs::{
    audit::Entry,
    connections::{self, CallbackError},
    tenants,
};
use poem::{
    IntoResponse, Response, handler,
    http::{StatusCode, header},
    web::{
        Data, Path,
        cookie::{Cookie, CookieJar, SameSite},
    },
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Query,
    payload::{Html, Json},
};
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::{ApiError, Tag, auth::Caller, pages, state::AppState};

/// Where to send a person who is to connect an account.
#[derive(Debug, Object)]
pub(crate) struct ConnectView {
    /// Opens once, in the browser that then logs in.
    url: String,
    /// How long the login may take.
    expires_in_seconds: u64,
}

/// The browser's page.
#[derive(ApiResponse)]
pub(crate) enum Page {
    /// The account is being connected.
    #[oai(status = 200)]
    Connected(Html<String>),
    /// The login was refused, or cannot be accepted.
    #[oai(status = 400)]
    Refused(Html<String>),
}

pub(crate) struct OauthApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl OauthApi {
    /// Begin to connect a Facebook Page: answers the address to open in a browser.
    #[oai(path = "/oauth/facebook/authorize", method = "get", operation_id = "authorize_facebook")]
    async fn authorize(&self, caller: Caller, tenant_id: Query<Uuid>) -> Result<Json<ConnectView>, ApiError> {
        let tenant_id = caller.tenant(tenant_id.0)?;
        let mut tx = self.state.db.tenant(tenant_id).await?;
        tenants::store::get(&mut tx, tenant_id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
        let ticket = connections::begin(&mut tx, tenant_id, self.state.state_life).await?;
        let entry = Entry::new(tenant_id, "account.authorize", "provider", "facebook", json!({}));
        self.state.record(&mut tx, &caller, entry).await?;
        tx.commit().await?;
        let url = format!("{}/connect/{ticket}", self.state.public_url);
        Ok(Json(ConnectView { url, expires_in_seconds: self.state.state_life.as_secs() }))
    }

    /// Where Facebook sends the browser back to. Open: the state and the browser's cookie say whose login it is.
    #[oai(path = "/oauth/facebook/callback", method = "get", operation_id = "callback_facebook")]
    async fn callback(
        &self,
        cookies: &CookieJar,
        state: Query<Option<String>>,
        code: Query<Option<String>>,
        error: Query<Option<String>>,
    ) -> Result<Page, ApiError> {
        let (Some(state), None) = (state.0, error.0) else {
            let words =
                "Facebook did not connect the account: the login was cancelled. Ask for a new link to try again.";
            return Ok(Page::Refused(Html(pages::message("Not connected", words))));
        };
        let browser = cookies.get(&cookie_name(&state)).map(|cookie| cookie.value_str().to_owned());
        let (Some(code), Some(browser)) = (code.0, browser) else {
            return Ok(not_accepted());
        };
        cookies.add(spent_cookie(&state));
        let mut tx = self.state.db.system().await?;
        let keyring = &self.state.services.keyring;
        match connections::accept_code(&mut tx, keyring, &state, &browser, &SecretString::from(code)).await {
            Ok(_) => tx.commit().await?,
            Err(CallbackError::State) => return Ok(not_accepted()),
            Err(CallbackError::Enqueue(error)) => return Err(error.into()),
            Err(CallbackError::Database(error)) => return Err(error.into()),
        }
        let words = "Your Facebook Pages are being connected. You can close this window.";
        Ok(Page::Connected(Html(pages::message("Login accepted", words))))
    }
}

fn not_accepted() -> Page {
    let words = "This login was used, took too long, or began in another browser. Ask for a new link to try again.";
    Page::Refused(Html(pages::message("Not connected", words)))
}

/// A cookie a login, so that two at once in one browser do not spoil each other. The name is no secret.
fn cookie_name(state: &str) -> String {
    let start: String = state.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("linecook_connect_{start}")
}

/// Opens a ticket: binds the browser by a cookie and sends it to Facebook.
#[handler]
pub(crate) async fn connect(
    Data(state): Data<&AppState>,
    Path(ticket): Path<String>,
    cookies: &CookieJar,
) -> Result<Response, ApiError> {
    let mut tx = state.db.system().await?;
    let opened = connections::open_ticket(&mut tx, &ticket).await?;
    tx.commit().await?;
    let Some(opened) = opened else {
        let words = "This link was opened before or is too old. Ask for a new one.";
        let page = Html(pages::message("Link not valid", words));
        return Ok(page.with_status(StatusCode::NOT_FOUND).into_response());
    };
    cookies.add(browser_cookie(state, &opened));
    let redirect_uri = state.services.facebook_redirect_uri();
    let dialog = state
        .services
        .meta
        .authorize_url(&redirect_uri, opened.state)
        .map_err(|error| ApiError::internal(MisconfiguredProvider(error)))?;
    Ok(Response::builder().status(StatusCode::FOUND).header(header::LOCATION, dialog.as_str()).finish())
}

/// Takes the cookie from the browser, where it is known by its path too.
fn spent_cookie(state: &str) -> Cookie {
    let mut cookie = Cookie::named(cookie_name(state));
    cookie.set_path("/api/v1/oauth");
    cookie.make_removal();
    cookie
}

fn browser_cookie(state: &AppState, opened: &connections::Opened) -> Cookie {
    let mut cookie = Cookie::new_with_str(cookie_name(&opened.state), opened.browser.clone());
    cookie.set_path("/api/v1/oauth");
    cookie.set_http_only(true);
    // Lax: the provider's redirect back is a top-level navigation.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_secure(state.public_url.starts_with("https:"));
    cookie.set_max_age(state.state_life.max(Duration::from_secs(1)));
    cookie
}

#[derive(Debug, thiserror::Error)]
#[error("META_DIALOG_URL, META_GRAPH_URL or PUBLIC_URL cannot be used: {0:#}")]
struct MisconfiguredProvider(anyhow::Error);
