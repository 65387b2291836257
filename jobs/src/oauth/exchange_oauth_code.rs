//! Exchanges an authorization code for tokens and connects the Pages behind it.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{connection::Connection, store};
use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry, Setback, Tx},
    ids::{OauthStateId, TenantId},
};

/// Exchange the code that came with the login `state_id`.
///
/// Safe to repeat: what the code was exchanged for is stored before anything else is asked, so a second attempt goes on
/// from there. Only an attempt that dies right after the exchange leaves a used code; the next one then fails, and asks to
/// connect again.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExchangeOauthCode {
    /// The login.
    pub state_id: OauthStateId,
}

impl Job for ExchangeOauthCode {
    const KIND: &'static str = "exchange_oauth_code";
    const QUEUE: Queue = Queue::Oauth;
    const RETRY: Retry = Retry::QUICK;

    fn unique_key(&self) -> Option<String> {
        Some(self.state_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let Some(token) = user_token(cx, self.state_id).await? else {
            return Ok(Done::nothing("the login was used or erased before"));
        };
        let connection = Connection::read(&cx.services().meta, &token).await?;
        let left_out = connection.left_out.clone();
        let mut tx = cx.begin().await?;
        let (token_id, accounts) = connection.store(cx, &mut tx).await?;
        store::erase_login(&mut tx, cx.tenant_id(), self.state_id).await?;
        tx.complete(json!({ "token_id": token_id, "accounts": accounts, "left_out": left_out })).await
    }

    async fn on_setback(&self, tenant_id: TenantId, tx: &mut Tx, setback: &Setback) -> Result<(), sqlx::Error> {
        match setback {
            Setback::Discarded(_) | Setback::Cancelled => store::erase_login(tx, tenant_id, self.state_id).await,
            Setback::Again(_) | Setback::Reconciling(_) | Setback::Parked(_) => Ok(()),
        }
    }
}

/// The user token of a login: the one an earlier attempt stored, or what the code is exchanged for now.
async fn user_token(cx: &JobContext, state_id: OauthStateId) -> Result<Option<SecretString>, JobError> {
    let mut tx = cx.begin().await?;
    let login = store::get_login(&mut tx, cx.tenant_id(), state_id).await?.unwrap_or_default();
    drop(tx);
    let keyring = &cx.services().keyring;
    let place = store::user_token_place(cx.tenant_id(), state_id);
    if let Some(token) = login.user_token {
        return Ok(Some(keyring.decrypt(place, &token)?));
    }
    let Some(code) = login.code else {
        return Ok(None);
    };
    let code = keyring.decrypt(store::code_place(cx.tenant_id(), state_id), &code)?;
    let user = cx.services().meta.exchange_code(&code, &cx.services().facebook_redirect_uri()).await?;
    let mut tx = cx.begin().await?;
    store::keep_user_token(&mut tx, cx.tenant_id(), state_id, &keyring.encrypt(place, &user.token)).await?;
    tx.commit().await?;
    Ok(Some(user.token))
}
