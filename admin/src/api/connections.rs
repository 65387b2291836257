//! Connecting accounts: the address to open in a browser, and the provider's callback.

use jobs::{
    connections::{self, CallbackError, CameBack},
    engine::Scope,
    providers::{Provider, StoredProvider},
};
use poem::web::{Path, cookie::CookieJar};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Query,
    payload::{Html, Json},
};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    html,
    http::cookies,
    state::AppState,
};

/// The address at which a person connects an account.
#[derive(Debug, Object)]
pub(crate) struct ConnectView {
    /// The address to open. It works once, in the browser in which the person then logs in.
    url: String,
    /// The time in seconds in which the login has to be done.
    expires_in_seconds: u64,
}

/// The page that the browser shows.
#[derive(ApiResponse)]
pub(crate) enum BrowserPage {
    /// The account is being connected.
    #[oai(status = 200)]
    Connected(Html<String>),
    /// The login was refused or cannot be accepted.
    #[oai(status = 400)]
    Refused(Html<String>),
}

pub(crate) struct ConnectionsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl ConnectionsApi {
    /// Start connecting a {account}.
    ///
    /// Returns the address to open in a browser. For a person it opens only where that person is
    /// signed in. For a key it shows a page that names the tenant.
    #[oai(path = "/oauth/:provider/authorize", method = "get", operation_id = "authorize_{provider}")]
    async fn authorize(
        &self,
        #[oai(scope = "Needs::AccountsWrite")] caller: Caller,
        provider: Path<String>,
        tenant_id: Query<Uuid>,
    ) -> Result<Answered<Json<ConnectView>>, ApiError> {
        let tenant_id = caller.tenant(tenant_id.0)?;
        let provider = self.connecting(provider.0)?;
        let user_id = caller.person().ok().map(|person| person.user_id);
        let (life, at, services) = (self.state.state_life, (tenant_id, provider), &self.state.services);
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        let ticket = connections::authorize(&mut tx, services, caller.actor(), at, user_id, life).await?;
        let ticket = ticket.ok_or_else(|| ApiError::not_found("tenant"))?;
        let url = format!("{}/connect/{ticket}", self.state.public_url);
        tx.answer(Json(ConnectView { url, expires_in_seconds: life.as_secs() })).await
    }

    /// Callback to which {label} sends the browser back.
    ///
    /// It needs no credentials: the state and the browser's cookie identify the login.
    #[oai(path = "/oauth/:provider/callback", method = "get", operation_id = "callback_{provider}")]
    async fn callback(
        &self,
        jar: &CookieJar,
        provider: Path<String>,
        state: Query<Option<String>>,
        code: Query<Option<String>>,
        error: Query<Option<String>>,
    ) -> Result<BrowserPage, ApiError> {
        let provider = self.connecting(provider.0)?;
        let label = provider.label();
        let (Some(state), None) = (state.0, error.0) else {
            let words = format!(
                "{label} did not connect the account: the login was cancelled. Ask for a new link to try again."
            );
            return Ok(BrowserPage::Refused(Html(html::message("Not connected", &words))));
        };
        let name = cookie_name(&state);
        let browser = cookies::read(jar, &self.state, &name).map(SecretString::from);
        let (Some(code), Some(browser)) = (code.0.map(SecretString::from), browser) else {
            return Ok(not_accepted());
        };
        jar.add(cookies::removal(&self.state, &name));
        #[expect(clippy::disallowed_methods, reason = "a browser comes back; the state is good once")]
        let mut tx = self.state.db.unkeyed().system().await?;
        let services = &self.state.services;
        let back = CameBack { provider, state: &state, browser: &browser, code: &code };
        match connections::accept_code(&mut tx, &services.providers, &services.keyring, &back).await {
            Ok(_) => tx.commit().await?,
            Err(CallbackError::State) => return Ok(not_accepted()),
            Err(CallbackError::NotOffered(error)) => return Err(error.into()),
            Err(CallbackError::Enqueue(error)) => return Err(error.into()),
            Err(CallbackError::Database(error)) => return Err(error.into()),
        }
        let noun = provider.account_noun();
        let words = format!("Your {label} {noun}s are being connected. You can close this window.");
        Ok(BrowserPage::Connected(Html(html::message("Login accepted", &words))))
    }
}

impl ConnectionsApi {
    /// Returns the provider of that name, if accounts there can be connected here.
    fn connecting(&self, name: String) -> Result<Provider, ApiError> {
        let provider = StoredProvider(name).known()?;
        self.state.services.providers.connecting(provider)?;
        Ok(provider)
    }
}

fn not_accepted() -> BrowserPage {
    let words = "This login was used, took too long, or began in another browser. Ask for a new link to try again.";
    BrowserPage::Refused(Html(html::message("Not connected", words)))
}

/// Returns the name of a login's cookie. Each login has its own, so that two at once in one browser
/// do not collide. The name is no secret.
pub(crate) fn cookie_name(state: &str) -> String {
    let start: String = state.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("linecook_connect_{start}")
}
