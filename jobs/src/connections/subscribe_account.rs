//! Subscribes our app to the events of an account.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{refresh::read_secrets, store};
use crate::{
    engine::{Done, Job, JobContext, JobError, NotCompleted, Queue, Retry, Tx},
    ids::{AccountId, TenantId},
    queues,
    services::Services,
};

/// Subscribes our app to the events of the account `account_id`, so that the provider tells us
/// about comments and the like.
///
/// Safe to repeat: a subscription replaces the one before.
#[derive(Debug, Serialize, Deserialize)]
pub struct SubscribeAccount {
    /// The account.
    pub account_id: AccountId,
}

impl Job for SubscribeAccount {
    type Services = Services;

    const KIND: &'static str = "subscribe_account";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::PATIENT;
    const PERMISSION: Option<&'static str> = Some("accounts:write");

    fn unique_key(&self) -> Option<String> {
        Some(self.account_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let (tenant_id, id) = (cx.tenant_id(), self.account_id);
        let mut tx = cx.begin().await?;
        let Some(account) = store::get_subscribable(&mut tx, tenant_id, id).await? else {
            return Ok(Done::nothing("there is no such account, or it is reached through another one"));
        };
        let token = store::get_token(&mut tx, tenant_id, account.token_id).await?;
        drop(tx);
        let provider = account.provider.known()?;
        let connector = cx.services().providers.connector(provider)?;
        let (Some(scope), Some(token)) = (connector.event_scope(), token) else {
            return Ok(Done::nothing("the provider has no events for us"));
        };
        if !account.scopes.iter().any(|granted| granted == scope) {
            let label = provider.label();
            let words = format!("{label} was not given the permission {scope}: connect again and allow it.");
            let mut tx = cx.begin().await?;
            store::mark_not_subscribed(&mut tx, tenant_id, id, &words).await?;
            return tx.complete(json!({ "subscribed": false, "missing_scope": scope })).await;
        }
        let secret = read_secrets(cx.services(), tenant_id, &token)?.secret;
        connector.subscribe(&account.remote_id, &secret).await?;
        let mut tx = cx.begin().await?;
        store::mark_subscribed(&mut tx, tenant_id, id).await?;
        tx.complete(json!({ "subscribed": true })).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(facts) | NotCompleted::Again(facts) => {
                store::mark_not_subscribed(tx, tenant_id, self.account_id, &facts.message).await
            }
            NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::Cancelled
            | NotCompleted::BroughtBack => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{engine::JobState, testing::Bench};

    const PAGE: &str = "10158250000000101";

    async fn account(bench: &Bench) -> store::AccountRow {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        store::list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0)
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(SubscribeAccount { account_id: AccountId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "account_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_connected_page_is_subscribed_and_twice_is_once(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let account_id = bench.connect_page().await;
        assert_eq!(bench.sandbox.observe("subscriptions").await[PAGE], json!(["feed", "mention"]));
        let before = account(&bench).await;
        assert!(before.subscribed_at.is_some() && before.subscribe_error.is_none());
        bench.enqueue(&SubscribeAccount { account_id }).await;
        bench.drain().await;
        assert_eq!(bench.sandbox.calls("subscribe_page").await, 2);
        assert!(account(&bench).await.subscribed_at > before.subscribed_at);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_failure_is_shown_and_tried_again(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.fault("subscribe_page", json!({ "status": 502, "body": "<html>" })).await;
        bench.connect_page().await;
        let failed = account(&bench).await;
        assert_eq!(failed.subscribe_error.as_deref(), Some("Facebook did not respond."));
        assert!(failed.subscribed_at.is_none());
        bench.drain_after(Duration::from_mins(2)).await;
        let mended = account(&bench).await;
        assert!(mended.subscribed_at.is_some() && mended.subscribe_error.is_none());
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_rate_limit_puts_it_off_and_parks_no_account(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.graph_error("subscribe_page", 32, 0).await;
        let account_id = bench.connect_page().await;
        let mut tx = bench.engine.db.system().await.unwrap();
        let parked: i64 = sqlx::query_scalar("select count(*) from parked_accounts").fetch_one(&mut *tx).await.unwrap();
        assert_eq!((parked, account(&bench).await.id), (0, account_id));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_refusal_is_shown_and_given_up(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let account_id = bench.connect_page().await;
        bench.sandbox.graph_error("subscribe_page", 200, 0).await;
        let job = bench.enqueue(&SubscribeAccount { account_id }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Discarded);
        let account = account(&bench).await;
        assert!(account.subscribe_error.unwrap().contains("A permission at Facebook is missing"));
        assert_eq!(account.status, store::AccountStatus::Active, "posts go out all the same");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_permission_that_nobody_gave_is_named(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let granted = json!(["pages_show_list", "pages_read_engagement", "pages_manage_posts"]);
        bench.sandbox.control("switches", json!({ "granted_scopes": granted })).await;
        bench.connect_page().await;
        assert!(account(&bench).await.subscribe_error.unwrap().contains("pages_manage_metadata"));
        assert_eq!(bench.sandbox.calls("subscribe_page").await, 0);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn an_account_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&SubscribeAccount { account_id: AccountId::new() }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }
}
