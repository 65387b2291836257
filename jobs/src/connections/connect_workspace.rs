//! Connects the accounts of the workspace that a tenant's key opens.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{connection::Connection, store};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Done, Facts, Job, JobContext, JobError, NotCompleted, Queue, Retry, Tx},
    ids::TenantId,
    mail::{self, Email},
    providers::{Provider, Token},
    queues,
    service_keys::{Service, store as keys},
    services::Services,
};

/// The provider of such keys.
const PROVIDER: Provider = Provider::Publer;

/// Connects the accounts of the workspace that is chosen for the key `key_id`. Those of another
/// workspace are disconnected.
///
/// Safe to repeat: accounts that are connected are only read again.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConnectWorkspace {
    /// The key.
    pub key_id: Uuid,
}

impl Job for ConnectWorkspace {
    type Services = Services;

    const KIND: &'static str = "connect_workspace";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::QUICK;
    const PERMISSION: Option<&'static str> = Some("accounts:write");

    fn unique_key(&self) -> Option<String> {
        Some(self.key_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let key = keys::get(&mut tx, cx.tenant_id(), Service::Publer).await?;
        drop(tx);
        let key = key.filter(|key| key.id == self.key_id);
        let Some((key, workspace_id)) = key.and_then(|key| key.workspace_id.clone().map(|id| (key, id))) else {
            return Ok(Done::nothing("the key was replaced or removed, or no workspace is chosen"));
        };
        let secret = cx.services().keyring.decrypt(keys::key_place(cx.tenant_id(), key.id), &key.secret)?;
        let secret = cx.services().providers.workspaces(PROVIDER)?.token(&secret, &workspace_id);
        let connection = Connection::read(cx, PROVIDER, &secret).await?;
        let mut tx = cx.begin().await?;
        tx.hold().await?;
        end_connections(&mut tx, cx.tenant_id(), PROVIDER, Some(&workspace_id)).await?;
        let token = Token { secret, expires_in: None, refresh: None };
        let token_id = connection.store_token(cx, &mut tx, &token).await?;
        let accounts = connection.store_accounts(cx, &mut tx, token_id).await?;
        let actor = Actor::job(cx.job_id(), Self::KIND);
        let entry = Entry::new(cx.tenant_id(), "account.connect", "token", token_id, json!({ "accounts": accounts }));
        audit::append(&mut tx, &cx.services().keyring, &actor, &[entry]).await?;
        tx.complete(json!({ "accounts": accounts })).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(facts) => self.refuse(tenant_id, tx, facts).await,
            NotCompleted::Again(_)
            | NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::Cancelled
            | NotCompleted::BroughtBack => Ok(()),
        }
    }
}

impl ConnectWorkspace {
    /// Marks the key as refused, with the reason why nothing was connected.
    async fn refuse(&self, tenant_id: TenantId, tx: &mut Tx, facts: &Facts) -> Result<(), sqlx::Error> {
        if !keys::mark_refused(tx, tenant_id, self.key_id, &facts.message).await? {
            return Ok(());
        }
        mail::enqueue(tx, tenant_id, Email::KeyRefused { key_id: self.key_id }).await
    }
}

/// Disconnects the accounts at a provider that keys opened, except those of the workspace `kept`,
/// and erases their tokens. What waits for them waits on.
pub async fn end_connections(
    tx: &mut Tx,
    tenant_id: TenantId,
    provider: Provider,
    kept: Option<&str>,
) -> Result<(), sqlx::Error> {
    let connections = keys::list_connections(tx, tenant_id, provider, kept).await?;
    let tokens: Vec<_> = connections.iter().map(|connection| connection.token_id).collect();
    let accounts: Vec<_> = connections.into_iter().flat_map(|connection| connection.accounts).collect();
    store::erase_tokens(tx, tenant_id, &tokens).await?;
    store::mark_disconnected(tx, tenant_id, &accounts).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::*;
    use crate::{
        engine::JobState,
        service_keys::{OwnKey, check_publer, put_publer},
        testing::Bench,
    };

    async fn put(bench: &Bench) -> Uuid {
        let (services, actor) = (&bench.engine.services, Actor::command_line());
        let key = OwnKey::parse("publer-sandbox-key").unwrap();
        let workspaces = check_publer(services, &key).await.unwrap();
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let new = (&key, workspaces.as_slice(), None);
        let row = put_publer(&mut tx, services, &actor, bench.tenant_id, new).await.unwrap();
        tx.commit().await.unwrap();
        row.id
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(ConnectWorkspace { key_id: Uuid::nil() }).unwrap();
        assert_eq!(payload, json!({ "key_id": Uuid::nil() }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_workspace_is_connected_once_however_often_it_is_read(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let key_id = put(&bench).await;
        bench.drain().await;
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let before = store::list_accounts(&mut tx, bench.tenant_id).await.unwrap().len();
        drop(tx);
        let again = bench.enqueue(&ConnectWorkspace { key_id }).await;
        assert_eq!(bench.run(again).await.result.unwrap()["accounts"].as_array().unwrap().len(), before);
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        assert_eq!(store::list_accounts(&mut tx, bench.tenant_id).await.unwrap().len(), before);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_rate_limit_puts_it_off_and_a_refusal_is_told(pool: PgPool) {
        let bench = Bench::new(pool).await;
        put(&bench).await;
        bench.sandbox.fault("publer_accounts", json!({ "status": 429, "body": { "error": "Retry later." } })).await;
        bench.sandbox.fault("publer_accounts", json!({ "status": 403, "body": { "errors": ["x"] }, "nth": 2 })).await;
        let [wanted] = bench.enqueued::<ConnectWorkspace>().await.try_into().expect("one job");
        let job = bench.enqueue(&wanted).await;
        assert_eq!(bench.run(job).await.state, JobState::Scheduled);
        bench.drain_after(Duration::from_mins(11)).await;
        assert_eq!(bench.job(job).await.state, JobState::Discarded);
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let key = keys::get(&mut tx, bench.tenant_id, Service::Publer).await.unwrap().unwrap();
        assert!(key.refusal.unwrap().contains("lacks a permission"));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_key_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&ConnectWorkspace { key_id: Uuid::now_v7() }).await;
        assert!(bench.run(job).await.result.unwrap()["nothing"].is_string());
    }
}
