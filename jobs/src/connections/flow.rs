//! The browser's side of connecting an account.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{
    ExchangeOauthCode,
    store::{self, Ticket},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{TenantId, UserId},
    providers::{AuthorizationRequest, NotOffered, Provider, Providers},
    secrets::{Keyring, fingerprint, random_token},
    services::Services,
    tenants,
};

/// Begins a login for a tenant at a provider. Returns the ticket that opens it in a browser, once;
/// if a person asks for it, only where that person is signed in.
pub async fn begin(
    tx: &mut Tx,
    tenant_id: TenantId,
    provider: Provider,
    user_id: Option<UserId>,
    life: Duration,
) -> Result<String, sqlx::Error> {
    let ticket = random_token();
    store::insert_state(tx, tenant_id, provider, user_id, &fingerprint(&ticket), life).await?;
    Ok(ticket)
}

/// Begins a login that somebody requested, and records that. Returns `None` if there is no such
/// tenant.
pub async fn authorize(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    (tenant_id, provider): (TenantId, Provider),
    user_id: Option<UserId>,
    life: Duration,
) -> Result<Option<String>, sqlx::Error> {
    if tenants::store::get(tx, tenant_id).await?.is_none() {
        return Ok(None);
    }
    let ticket = begin(tx, tenant_id, provider, user_id, life).await?;
    let entry = Entry::new(tenant_id, "account.authorize", "provider", provider.name(), json!({}));
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(ticket))
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
    /// The authorization code.
    pub code: &'a SecretString,
}

/// The reasons for which a callback is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The provider is not configured.
    #[error("the provider cannot be used")]
    NotOffered(#[from] NotOffered),
    /// The state is unknown, used, expired, or belongs to another browser or provider.
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
) -> Result<(TenantId, Enqueued), CallbackError> {
    let takes_pkce = providers.connecting(back.provider)?.takes_pkce();
    let (state, browser) = (fingerprint(back.state), fingerprint(back.browser.expose_secret()));
    let found = store::use_state(tx, back.provider, &state, &browser).await?.ok_or(CallbackError::State)?;
    let (tenant_id, id) = (found.tenant_id, found.id);
    let code = keyring.encrypt(store::code_place(tenant_id, id), back.code);
    let verifier = takes_pkce.then(|| keyring.encrypt(store::verifier_place(tenant_id, id), back.browser));
    store::keep_code(tx, id, &code, verifier.as_deref()).await?;
    let job = NewJob::new(tenant_id, &ExchangeOauthCode { state_id: id });
    Ok((tenant_id, tx.enqueue(job).await?))
}
