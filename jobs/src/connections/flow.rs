//! The browser's side of connecting an account.

use std::time::Duration;

use secrecy::SecretString;

use super::{ExchangeOauthCode, store};
use crate::{
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::TenantId,
    secrets::{Keyring, fingerprint, random_token},
};

/// Begins a run for a tenant; answers the ticket that opens it in a browser, once.
///
/// # Errors
/// The database refused.
pub async fn begin(tx: &mut Tx, tenant_id: TenantId, life: Duration) -> Result<String, sqlx::Error> {
    let ticket = random_token();
    store::insert_state(tx, tenant_id, &fingerprint(&ticket), life).await?;
    Ok(ticket)
}

/// What a browser that opened a ticket is given.
#[derive(Debug)]
pub struct Opened {
    /// Goes to the provider and comes back once.
    pub state: String,
    /// Stays in the browser, as a cookie.
    pub browser: String,
}

/// Opens a ticket; `None` if there is none, it was opened before or its time is over. Needs the system scope.
///
/// # Errors
/// The database refused.
pub async fn open_ticket(tx: &mut Tx, ticket: &str) -> Result<Option<Opened>, sqlx::Error> {
    let opened = Opened { state: random_token(), browser: random_token() };
    let is_open =
        store::mark_opened(tx, &fingerprint(ticket), &fingerprint(&opened.state), &fingerprint(&opened.browser))
            .await?;
    Ok(is_open.then_some(opened))
}

/// Why a callback is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The state is unknown, used, over, or belongs to another browser.
    #[error("the login is unknown, was used, took too long or began in another browser")]
    State,
    /// The exchange could not be enqueued.
    #[error("the exchange could not be enqueued")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Accepts the code that the provider sent with `state`, once and only in the browser that opened the ticket: stores it
/// encrypted and enqueues the exchange. Needs the system scope.
///
/// # Errors
/// [`CallbackError`].
pub async fn accept_code(
    tx: &mut Tx,
    keyring: &Keyring,
    state: &str,
    browser: &str,
    code: &SecretString,
) -> Result<(TenantId, Enqueued), CallbackError> {
    let found = store::use_state(tx, &fingerprint(state), &fingerprint(browser)).await?.ok_or(CallbackError::State)?;
    let sealed = keyring.encrypt(store::code_place(found.tenant_id, found.id), code);
    store::keep_code(tx, found.id, &sealed).await?;
    let job = NewJob::new(found.tenant_id, &ExchangeOauthCode { state_id: found.id });
    Ok((found.tenant_id, tx.enqueue(job).await?))
}
