//! Connecting accounts: the address to open in a browser, and the provider's callback.

mod attempts;

use std::collections::BTreeSet;

use jobs::{
    connections::{
        self, CallbackError, CameBack, Problem,
        store::{NewLogin, UsedState},
    },
    engine::Scope,
    ids::{AccountId, OauthStateId},
    providers::{OauthClient, Provider, StoredProvider},
};
use poem::{Request, web::Path};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Query,
    payload::{Html, Json},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;
use uuid::Uuid;

pub(crate) use self::attempts::AttemptsApi;
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Identity, Needs, identity_of_browser},
    database::Answered,
    html,
    http::cookies,
    state::AppState,
};

/// The permission to connect accounts.
pub(crate) const CONNECTS: &str = "accounts:write";

/// The parameters of a callback that decide something.
const PARAMETERS: [&str; 4] = ["state", "code", "error", "iss"];

/// The address at which a person connects an account.
#[derive(Debug, Object)]
pub(crate) struct ConnectView {
    /// The id of this run of connecting: `GET /tenants/{id}/connections/{connection_id}` follows it.
    id: Uuid,
    /// The address to open. It works once, in the browser in which the person then logs in.
    url: String,
    /// The time in seconds in which the login has to be done.
    expires_in_seconds: u64,
}

/// The page that the browser shows.
#[derive(ApiResponse)]
pub(crate) enum BrowserPage {
    /// The login is accepted. The page at this address shows how connecting goes on.
    #[oai(status = 303)]
    Accepted(#[oai(header = "Location")] String),
    /// The login was refused or cannot be accepted.
    #[oai(status = 400)]
    Refused(Html<String>),
}

/// The parameters that a provider adds to the callback.
struct Came {
    state: Option<String>,
    code: Option<SecretString>,
    error: Option<String>,
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
        /// The account to connect again. Without one, any account can be connected.
        account_id: Query<Option<Uuid>>,
    ) -> Result<Answered<Json<ConnectView>>, ApiError> {
        let tenant_id = caller.tenant(tenant_id.0)?;
        let provider = connecting(&self.state, provider.0)?;
        let user_id = caller.person().ok().map(|person| person.user_id);
        let account_id = account_id.0.map(AccountId);
        let new = NewLogin { tenant_id, provider, user_id, account_id, connect_link_id: None };
        let (life, services) = (self.state.state_life, &self.state.services);
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        let begun = connections::authorize(&mut tx, services, caller.actor(), &new, life).await?;
        let begun = begun.ok_or_else(|| ApiError::not_found("tenant"))?;
        let url = format!("{}/connect/{}", self.state.public_url, begun.ticket);
        tx.answer(Json(ConnectView { id: begun.id.0, url, expires_in_seconds: life.as_secs() })).await
    }

    /// Callback to which {label} sends the browser back.
    ///
    /// It needs no credentials: the state and the browser's cookie identify the login. A login that
    /// a person began is accepted only while that person is signed in.
    #[oai(path = "/oauth/:provider/callback", method = "get", operation_id = "callback_{provider}")]
    async fn callback(
        &self,
        request: &Request,
        provider: Path<String>,
        state: Query<Option<String>>,
        code: Query<Option<String>>,
        error: Query<Option<String>>,
    ) -> Result<BrowserPage, ApiError> {
        let provider = connecting(&self.state, provider.0)?;
        let came = Came { state: state.0, code: code.0.map(SecretString::from), error: error.0 };
        let is_denied = came.error.is_some();
        let accepted = self.come_back(request, provider, came).await?;
        let Some(used) = accepted else {
            return Ok(if is_denied { denied(provider, None) } else { not_accepted() });
        };
        if is_denied {
            return Ok(denied(provider, Some(&used)));
        }
        Ok(BrowserPage::Accepted(match used.user_id {
            Some(_) => format!("/connections/{}?workspace={}", used.id, used.tenant_id),
            None => format!("/connect/done/{}", used.id),
        }))
    }
}

impl ConnectionsApi {
    /// Accepts a browser that comes back, or returns `None`.
    async fn come_back(
        &self,
        request: &Request,
        provider: Provider,
        came: Came,
    ) -> Result<Option<UsedState>, ApiError> {
        let jar = request.cookie();
        let services = &self.state.services;
        let oauth = services.providers.connecting(provider)?;
        let Some(state) = came.state.filter(|_| is_of(request, oauth)) else {
            return Ok(None);
        };
        let name = cookie_name(&state);
        let Some(browser) = cookies::read(jar, &self.state, &name).map(SecretString::from) else {
            return Ok(None);
        };
        let identity = identity_of_browser(&self.state, request).await?;
        let user_id = identity.as_ref().and_then(|identity| identity.person).map(|person| person.user_id);
        let back = CameBack { provider, state: &state, browser: &browser, user_id };
        #[expect(clippy::disallowed_methods, reason = "a browser comes back; the state is good once")]
        let mut tx = self.state.db.unkeyed().system().await?;
        let used = match (&came.code, &came.error) {
            (_, Some(error)) => connections::end_login(&mut tx, &back, problem_of(error)).await,
            (Some(code), None) => {
                let accepted =
                    connections::accept_code(&mut tx, &services.providers, &services.keyring, &back, code).await;
                accepted.map(|(used, _)| used)
            }
            (None, None) => return Ok(None),
        };
        let used = match used {
            Ok(used) => used,
            Err(CallbackError::State) => return Ok(None),
            Err(CallbackError::NotOffered(error)) => return Err(error.into()),
            Err(CallbackError::Enqueue(error)) => return Err(error.into()),
            Err(CallbackError::Database(error)) => return Err(error.into()),
        };
        check_still_connects(identity.as_ref(), &used)?;
        tx.commit().await?;
        jar.add(cookies::removal(&self.state, &name));
        if used.user_id.is_none() {
            let life = connections::CHOOSE_WITHIN + self.state.state_life;
            jar.add(cookies::cookie(&self.state, &done_cookie_name(used.id), browser.expose_secret(), life));
        }
        Ok(Some(used))
    }
}

/// Refuses a person who lost the permission while at the provider.
fn check_still_connects(identity: Option<&Identity>, used: &UsedState) -> Result<(), ApiError> {
    let Some(identity) = identity.filter(|_| used.user_id.is_some()) else {
        return Ok(());
    };
    if identity.access.held_in(used.tenant_id)?.allow(CONNECTS) {
        return Ok(());
    }
    Err(ApiError::missing_permission(CONNECTS))
}

/// Returns the provider of that name, if accounts there can be connected here.
pub(crate) fn connecting(state: &AppState, name: String) -> Result<Provider, ApiError> {
    let provider = StoredProvider(name).known()?;
    state.services.providers.connecting(provider)?;
    Ok(provider)
}

/// Returns true unless the query names another issuer (RFC 9207), or has a parameter twice, of which
/// programs may read either.
fn is_of(request: &Request, oauth: &OauthClient) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let mut seen = BTreeSet::new();
    form_urlencoded::parse(query.as_bytes()).all(|(name, value)| {
        let is_right = name != "iss" || oauth.is_issuer(&value);
        is_right && (!PARAMETERS.contains(&name.as_ref()) || seen.insert(name))
    })
}

/// Returns the problem of a login that the provider reports as failed. Source: RFC 6749,
/// "Authorization Response, Error Response".
fn problem_of(error: &str) -> Problem {
    if error == "access_denied" { Problem::Denied } else { Problem::Failed }
}

fn not_accepted() -> BrowserPage {
    let words = "This login was used, took too long, or began in another browser or by another person. Nothing was \
                 connected. To try again, begin where you began, or ask for a new link.";
    BrowserPage::Refused(Html(html::message("Not connected", words, &[])))
}

/// Returns the page after a login that failed at the provider. `used` is the login, if it is one of
/// this browser.
fn denied(provider: Provider, used: Option<&UsedState>) -> BrowserPage {
    let label = provider.label();
    let words =
        format!("{label} did not connect the account: the login was cancelled or failed there. Nothing was changed.");
    let page = if let Some(UsedState { tenant_id, user_id: Some(_), .. }) = used {
        let again = format!("/accounts/connect/{}?workspace={tenant_id}", provider.name());
        html::message("Not connected", &words, &[(again.as_str(), "Try again")])
    } else {
        let words = format!("{words} To try again, begin where you began, or ask for a new link.");
        html::message("Not connected", &words, &[])
    };
    BrowserPage::Refused(Html(page))
}

/// Returns the name of a login's cookie. Each login has its own, so that two at once in one browser
/// do not collide. The name is no secret.
pub(crate) fn cookie_name(state: &str) -> String {
    let start: String = state.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("linecook_connect_{start}")
}

/// Returns the name of the cookie with which a browser without an account here looks at a login
/// that it finished.
pub(crate) fn done_cookie_name(id: OauthStateId) -> String {
    let id = id.to_string();
    format!("linecook_connected_{}", id.rsplit('-').next().unwrap_or_default())
}
