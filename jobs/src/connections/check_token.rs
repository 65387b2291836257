//! Asks the provider about a user token: its end, and the permissions that are granted now.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    need_person,
    refresh::read_secrets,
    store::{self, Description},
};
use crate::{
    engine::{Done, Job, JobContext, JobError, NotCompleted, Queue, Retry, Tx},
    ids::{TenantId, TokenId},
    queues,
    services::Services,
};

/// Checks the user token `token_id` with its provider, which also keeps an idle connection in use.
///
/// Safe to repeat: it only reads at the provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckToken {
    /// The token.
    pub token_id: TokenId,
}

impl Job for CheckToken {
    type Services = Services;

    const KIND: &'static str = "check_token";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::QUICK;
    const PERMISSION: Option<&'static str> = Some("accounts:write");

    fn unique_key(&self) -> Option<String> {
        Some(self.token_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let token = store::get_token(&mut tx, cx.tenant_id(), self.token_id).await?;
        drop(tx);
        // An access token that lasts for an hour says nothing about its grant, which refreshes test.
        let Some(token) = token.filter(|token| token.kind == "user" && token.refresh_token.is_none()) else {
            return Ok(Done::nothing("there is no such user token, or it is refreshed often"));
        };
        let secret = read_secrets(cx.services(), cx.tenant_id(), &token)?.secret;
        let inspection = cx.services().providers.connector(token.provider.known()?)?.inspect(&secret).await?;
        let description = inspection.map(Description::from);
        let mut tx = cx.begin().await?;
        store::mark_checked(&mut tx, cx.tenant_id(), self.token_id, token.refreshed_at, description.as_ref()).await?;
        tx.complete(json!({ "described": description.is_some() })).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(facts) => need_person(tx, tenant_id, self.token_id, facts).await,
            NotCompleted::Again(_)
            | NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::Cancelled
            | NotCompleted::BroughtBack => Ok(()),
        }
    }
}
