//! Gives a user token a fresh life, and reads the Page tokens that depend on it again.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{connection::Connection, store};
use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry, Setback, Tx},
    ids::{TenantId, TokenId},
};

/// Refresh the user token `token_id`.
///
/// Safe to repeat: every exchange of a living token gives one that lives longer; the last one stored counts.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshToken {
    /// The token.
    pub token_id: TokenId,
}

impl Job for RefreshToken {
    const KIND: &'static str = "refresh_token";
    const QUEUE: Queue = Queue::Oauth;
    const RETRY: Retry = Retry::PATIENT;

    fn unique_key(&self) -> Option<String> {
        Some(self.token_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let token = store::get_token(&mut tx, cx.tenant_id(), self.token_id).await?;
        drop(tx);
        let Some(token) = token.filter(|token| token.kind == "user") else {
            return Ok(Done::nothing("there is no such user token"));
        };
        let token = cx.services().keyring.decrypt(store::token_place(cx.tenant_id(), token.id), &token.access_token)?;
        let connection = Connection::read(&cx.services().meta, &token).await?;
        let mut tx = cx.begin().await?;
        let (_, accounts) = connection.store(cx, &mut tx).await?;
        store::insert_refresh(&mut tx, cx.tenant_id(), self.token_id, None).await?;
        tx.complete(json!({ "accounts": accounts })).await
    }

    async fn on_setback(&self, tenant_id: TenantId, tx: &mut Tx, setback: &Setback) -> Result<(), sqlx::Error> {
        let Setback::Discarded(facts) = setback else {
            return Ok(());
        };
        if facts.class == "reauth" || facts.class == "permission" {
            let accounts = store::list_account_ids_of_user_token(tx, tenant_id, self.token_id).await?;
            store::mark_needs_reauth(tx, tenant_id, &accounts, &facts.message).await?;
            store::insert_refresh(tx, tenant_id, self.token_id, Some(&facts.message)).await?;
        }
        Ok(())
    }
}
