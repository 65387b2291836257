//! Exchanges an authorization code for tokens and connects the accounts behind it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Problem, Report,
    login::{Login, Step},
    store::{self, KeptSecrets, Replacement},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{CauseClass, Done, Job, JobContext, JobError, NotCompleted, Priority, Queue, Retry, Tx},
    ids::{OauthStateId, TenantId},
    providers::{Provider, Token},
    queues,
    secrets::{Keyring, SecretError},
    services::Services,
};

/// Exchanges the code that came with the login `state_id`.
///
/// Safe to repeat: the exchanged token is stored before anything else is requested, so a second
/// attempt goes on from there. Only an attempt that dies right after the exchange leaves a used
/// code. The next attempt then fails, and asks the person to connect again.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExchangeOauthCode {
    /// The login.
    pub state_id: OauthStateId,
}

impl Job for ExchangeOauthCode {
    type Services = Services;

    const KIND: &'static str = "exchange_oauth_code";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::QUICK;
    const PERMISSION: Option<&'static str> = Some("accounts:write");
    const PRIORITY: Priority = Priority::Interactive;

    fn unique_key(&self) -> Option<String> {
        Some(self.state_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let Some((provider, token)) = user_token(cx, self.state_id).await? else {
            return Ok(Done::nothing("the login was used or erased before"));
        };
        let token = if token.refresh.is_none() {
            cx.services().providers.connector(provider)?.refresh(&token).await?
        } else {
            token
        };
        let mut login = Login::read(cx, provider, &token).await?;
        let mut tx = cx.begin().await?;
        tx.hold().await?;
        let step = login.settle(&mut tx, cx.services(), self.state_id, &token).await?;
        let left_out: Vec<&str> = login.report.left_out.iter().map(|account| account.name.as_str()).collect();
        let mut result = json!({ "accounts": [], "left_out": left_out, "missing_scopes": login.report.missing });
        match step {
            Step::Connected(token_id, accounts) => {
                let actor = Actor::job(cx.job_id(), Self::KIND);
                let details = json!({ "accounts": accounts });
                let entry = Entry::new(cx.tenant_id(), "account.connect", "token", token_id, details);
                audit::append(&mut tx, &cx.services().keyring, &actor, &[entry]).await?;
                result["token_id"] = json!(token_id);
                result["accounts"] = json!(accounts);
            }
            Step::Choosing(found) => result["to_choose"] = json!(found),
            Step::Nothing => {}
        }
        tx.complete(result).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(facts) => {
                let problem = if facts.class == CauseClass::RestartLogin { Problem::Expired } else { Problem::Failed };
                self.give_up(tx, tenant_id, problem, &facts.message).await
            }
            NotCompleted::Cancelled => {
                self.give_up(tx, tenant_id, Problem::Failed, "Somebody cancelled the job that connects.").await
            }
            NotCompleted::Again(_)
            | NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::BroughtBack => Ok(()),
        }
    }
}

impl ExchangeOauthCode {
    async fn give_up(
        &self,
        tx: &mut Tx,
        tenant_id: TenantId,
        problem: Problem,
        message: &str,
    ) -> Result<(), sqlx::Error> {
        let report = Report { message: Some(message.to_owned()), ..Report::default() };
        store::mark_problem(tx, tenant_id, self.state_id, problem, &report).await?;
        store::give_up_login(tx, tenant_id, self.state_id).await
    }
}

/// Returns the user token of a login: the one that an earlier attempt stored, or the one that the
/// code is exchanged for now.
async fn user_token(cx: &JobContext, state_id: OauthStateId) -> Result<Option<(Provider, Token)>, JobError> {
    let mut tx = cx.begin().await?;
    let login = store::get_secrets(&mut tx, cx.tenant_id(), state_id).await?;
    drop(tx);
    let Some(login) = login.filter(|login| !login.is_found) else {
        return Ok(None);
    };
    let (tenant_id, keyring) = (cx.tenant_id(), &cx.services().keyring);
    let provider = login.provider.known()?;
    if let Some(token) = kept_token(keyring, (tenant_id, state_id), &login)? {
        return Ok(Some((provider, token)));
    }
    let Some(code) = login.code else {
        return Ok(None);
    };
    let code = keyring.decrypt(store::code_place(tenant_id, state_id), &code)?;
    let verifier_place = store::verifier_place(tenant_id, state_id);
    let verifier = login.verifier.map(|verifier| keyring.decrypt(verifier_place, &verifier)).transpose()?;
    let token = cx.services().providers.connecting(provider)?.exchange(&code, verifier.as_ref()).await?;
    let mut tx = cx.begin().await?;
    let kept = Replacement::of_login(keyring, (tenant_id, state_id), &token);
    store::keep_user_token(&mut tx, tenant_id, state_id, &kept).await?;
    tx.commit().await?;
    Ok(Some((provider, token)))
}

/// Returns the user token that is kept with a login.
pub(super) fn kept_token(
    keyring: &Keyring,
    (tenant_id, id): (TenantId, OauthStateId),
    login: &KeptSecrets,
) -> Result<Option<Token>, SecretError> {
    let Some(token) = &login.user_token else {
        return Ok(None);
    };
    let refresh_place = store::login_refresh_token_place(tenant_id, id);
    Ok(Some(Token {
        secret: keyring.decrypt(store::user_token_place(tenant_id, id), token)?,
        expires_in: login.expires_in_seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
        refresh: login.refresh_token.as_ref().map(|token| keyring.decrypt(refresh_place, token)).transpose()?,
    }))
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::{store::AccountStatus, *};
    use crate::{engine::JobState, testing::Bench};

    async fn accounts(bench: &Bench) -> Vec<store::AccountRow> {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        store::list_accounts(&mut tx, bench.tenant_id).await.unwrap()
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(ExchangeOauthCode { state_id: OauthStateId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "state_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_pages_behind_a_login_are_connected(pool: PgPool) {
        let bench = Bench::new(pool.clone()).await;
        let job = bench.begin_login().await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
        let accounts = accounts(&bench).await;
        assert_eq!((accounts.len(), accounts[0].status), (1, AccountStatus::Active));
        assert!(accounts[0].token_expires_at.is_some(), "a user token ends");
        let mut tx = bench.engine.db.system().await.unwrap();
        let stored: Vec<String> =
            sqlx::query_scalar("select access_token from oauth_tokens").fetch_all(&mut *tx).await.unwrap();
        assert!(stored.len() == 2 && stored.iter().all(|token| token.starts_with("v1.test.")));
        let left: i64 =
            sqlx::query_scalar("select count(*) from oauth_state where code is not null or user_token is not null")
                .fetch_one(&mut *tx)
                .await
                .unwrap();
        assert_eq!(left, 0, "the login's secrets are erased");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_second_login_updates_the_same_account(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let first = bench.connect_page().await;
        assert_eq!(bench.connect_page().await, first);
        assert_eq!(accounts(&bench).await.len(), 1);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_failure_after_the_exchange_goes_on_from_there(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.begin_login().await;
        bench.sandbox.fault("list_accounts", json!({ "status": 503, "body": "<html>" })).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Retryable);
        bench.drain_after(Duration::from_secs(2)).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
        assert_eq!(bench.sandbox.calls("exchange_code").await, 1);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_login_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&ExchangeOauthCode { state_id: OauthStateId::new() }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_rate_limit_puts_it_off(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.begin_login().await;
        bench.sandbox.graph_error("exchange_code", 4, 0).await;
        bench.drain().await;
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Scheduled, 0));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_used_code_fails_and_asks_to_connect_again(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.begin_login().await;
        bench.sandbox.graph_error("exchange_code", 100, 36_009).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Discarded);
        assert_eq!(bench.error_class(job).await, "restart_login");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_permission_that_publishing_needs_and_nobody_gave_is_told_before_the_first_post(pool: PgPool) {
        let bench = Bench::new(pool).await;
        for (granted, missing) in [
            (json!(["pages_show_list", "pages_read_engagement"]), "pages_manage_posts"),
            (json!(["pages_show_list", "pages_manage_posts"]), "pages_read_engagement"),
        ] {
            bench.sandbox.control("switches", json!({ "granted_scopes": granted })).await;
            let job = bench.begin_login().await;
            bench.drain().await;
            assert_eq!(bench.job(job).await.result.unwrap()["missing_scopes"], json!([missing]));
            let account = accounts(&bench).await.remove(0);
            assert_eq!(account.status, AccountStatus::NeedsReauth);
            assert!(account.status_reason.unwrap().contains(missing));
        }
        bench.sandbox.control("switches", json!({ "granted_scopes": null })).await;
        bench.connect_page().await;
        assert_eq!(accounts(&bench).await.remove(0).status, AccountStatus::Active);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_page_that_was_not_shared_is_left_out_by_name(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let page = "10158250000000101";
        bench.sandbox.control("switches", json!({ "pages_without_token": [page] })).await;
        let job = bench.begin_login().await;
        bench.drain().await;
        let result = bench.job(job).await.result.unwrap();
        assert_eq!(
            (result["accounts"].as_array().unwrap().len(), result["left_out"].as_array().unwrap().len()),
            (0, 1)
        );
    }
}
