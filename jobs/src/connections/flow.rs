//! The browser's side of connecting an account.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sqlx::error::DatabaseError;
use url::Url;

use super::{
    ExchangeOauthCode, Problem, Report,
    store::{self, NewLogin, Returning, Ticket, UsedState},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{OauthStateId, TenantId, UserId},
    providers::{AuthorizationRequest, NotOffered, Provider, Providers},
    secrets::{Keyring, fingerprint, random_token},
    services::Services,
    tenants,
};

/// A login that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Its id.
    pub id: OauthStateId,
    /// The ticket that opens it in a browser, once.
    pub ticket: String,
}

/// Begins a login.
pub(super) async fn insert(tx: &mut Tx, new: &NewLogin, life: Duration) -> Result<Begun, sqlx::Error> {
    let ticket = random_token();
    let id = store::insert_state(tx, new, &fingerprint(&ticket), life).await?;
    Ok(Begun { id, ticket })
}

/// Begins a login for a tenant at a provider. Returns the ticket that opens it in a browser, once;
/// if a person asks for it, only where that person is signed in.
pub async fn begin(
    tx: &mut Tx,
    tenant_id: TenantId,
    provider: Provider,
    user_id: Option<UserId>,
    life: Duration,
) -> Result<String, sqlx::Error> {
    let new = NewLogin { tenant_id, provider, user_id, account_id: None, connect_link_id: None };
    Ok(insert(tx, &new, life).await?.ticket)
}

/// Begins a login that somebody requested, and records that. Returns `None` if there is no such
/// tenant.
pub async fn authorize(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    new: &NewLogin,
    life: Duration,
) -> Result<Option<Begun>, sqlx::Error> {
    if tenants::store::get(tx, new.tenant_id).await?.is_none() {
        return Ok(None);
    }
    let begun = insert(tx, new, life).await?;
    let details = json!({ "login_id": begun.id, "account_id": new.account_id });
    let entry = Entry::new(new.tenant_id, "account.authorize", "provider", new.provider.name(), details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(begun))
}

/// Returns a ticket that can be opened, without opening it. Needs the system scope.
pub async fn find_ticket(tx: &mut Tx, ticket: &str) -> Result<Option<Ticket>, sqlx::Error> {
    store::find_ticket(tx, &fingerprint(ticket)).await
}

/// The data for a browser that opened a ticket.
#[derive(Debug)]
pub struct Opened {
    /// The request, whose verifier stays in the browser, as a cookie. We store only hashes.
    pub request: AuthorizationRequest,
    /// The address to send the browser to.
    pub authorize_url: Url,
}

/// The reasons for which a ticket is not opened. It stays valid.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The provider is not configured.
    #[error("the provider cannot be used")]
    NotOffered(#[from] NotOffered),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Opens a ticket. Returns `None` if it is unknown, opened already or expired. Needs the system
/// scope.
///
/// # Errors
/// Returns [`OpenError`]; the ticket stays valid once the transaction is dropped.
pub async fn open_ticket(tx: &mut Tx, providers: &Providers, ticket: &str) -> Result<Option<Opened>, OpenError> {
    let request = AuthorizationRequest::new();
    let (state, browser) = (fingerprint(&request.state), fingerprint(request.verifier.expose_secret()));
    let Some(provider) = store::mark_opened(tx, &fingerprint(ticket), &state, &browser).await? else {
        return Ok(None);
    };
    let authorize_url = providers.connecting(provider.known()?)?.authorize_url(&request);
    Ok(Some(Opened { request, authorize_url }))
}

/// The data that a browser brings back from a provider.
#[derive(Debug)]
pub struct CameBack<'a> {
    /// The provider.
    pub provider: Provider,
    /// The state that the provider repeats.
    pub state: &'a str,
    /// The value of its cookie: the verifier of the [`AuthorizationRequest`].
    pub browser: &'a SecretString,
    /// The person who is signed in there.
    pub user_id: Option<UserId>,
}

/// The reasons for which a callback is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The provider is not configured.
    #[error("the provider cannot be used")]
    NotOffered(#[from] NotOffered),
    /// The state is unknown, used, expired, or belongs to another browser, person or provider; or
    /// the code was used before.
    #[error("the login does not exist, was used, took too long, or began in another browser")]
    State,
    /// The exchange could not be enqueued.
    #[error("the exchange could not be enqueued")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Accepts the code that a provider sent, once and only in the browser that opened the ticket.
/// Stores it encrypted, and enqueues the exchange. Needs the system scope.
///
/// # Errors
/// Returns [`CallbackError::State`] if the person has to start again, or another [`CallbackError`].
pub async fn accept_code(
    tx: &mut Tx,
    providers: &Providers,
    keyring: &Keyring,
    back: &CameBack<'_>,
    code: &SecretString,
) -> Result<(UsedState, Enqueued), CallbackError> {
    let takes_pkce = providers.connecting(back.provider)?.takes_pkce();
    let found = use_state(tx, back, Some(code)).await?;
    let (tenant_id, id) = (found.tenant_id, found.id);
    let code = keyring.encrypt(store::code_place(tenant_id, id), code);
    let verifier = takes_pkce.then(|| keyring.encrypt(store::verifier_place(tenant_id, id), back.browser));
    store::keep_code(tx, id, &code, verifier.as_deref()).await?;
    let job = tx.enqueue(NewJob::new(tenant_id, &ExchangeOauthCode { state_id: id })).await?;
    store::set_job(tx, tenant_id, id, job.id).await?;
    Ok((found, job))
}

/// Ends a login that the person denied, or that the provider could not do. Needs the system scope.
///
/// # Errors
/// As [`accept_code`].
pub async fn end_login(tx: &mut Tx, back: &CameBack<'_>, problem: Problem) -> Result<UsedState, CallbackError> {
    let found = use_state(tx, back, None).await?;
    store::mark_problem(tx, found.tenant_id, found.id, problem, &Report::default()).await?;
    Ok(found)
}

async fn use_state(tx: &mut Tx, back: &CameBack<'_>, code: Option<&SecretString>) -> Result<UsedState, CallbackError> {
    let code = code.map(|code| fingerprint(code.expose_secret()));
    let returning = Returning {
        provider: back.provider,
        state_sha256: &fingerprint(back.state),
        browser_sha256: &fingerprint(back.browser.expose_secret()),
        user_id: back.user_id,
        code_sha256: code.as_deref(),
    };
    match store::use_state(tx, &returning).await {
        Ok(found) => found.ok_or(CallbackError::State),
        // The same code came in two states at the same time.
        Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => {
            Err(CallbackError::State)
        }
        Err(error) => Err(error.into()),
    }
}
