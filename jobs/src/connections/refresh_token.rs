//! Extends the life of a user token, and reads again the accounts that it opens.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    connection::Connection,
    need_person,
    refresh::{read_secrets, refresh},
    store,
};
use crate::{
    engine::{Done, Job, JobContext, JobError, NotCompleted, Queue, Retry, Tx},
    ids::{TenantId, TokenId},
    queues,
    services::Services,
};

/// Refreshes the user token `token_id`.
///
/// Safe to repeat: a token that was refreshed after the job was enqueued is not refreshed again, so
/// an attempt that failed later on goes on from there.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefreshToken {
    /// The token.
    pub token_id: TokenId,
}

impl Job for RefreshToken {
    type Services = Services;

    const KIND: &'static str = "refresh_token";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::PATIENT;
    const PERMISSION: Option<&'static str> = Some("accounts:write");

    fn unique_key(&self) -> Option<String> {
        Some(self.token_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let (tenant_id, id) = (cx.tenant_id(), self.token_id);
        let mut tx = cx.begin().await?;
        let token = store::get_token(&mut tx, tenant_id, id).await?;
        let is_refreshed = store::is_refreshed_since(&mut tx, tenant_id, id, cx.job_id()).await?;
        drop(tx);
        let Some(token) = token.filter(|token| token.kind == "user") else {
            return Ok(Done::nothing("there is no such user token"));
        };
        let provider = token.provider.known()?;
        let secret = if is_refreshed {
            read_secrets(cx.services(), tenant_id, &token)?.secret
        } else {
            refresh(cx, &token, None).await?
        };
        let mut connection = Connection::read(cx, provider, &secret).await?;
        let mut tx = cx.begin().await?;
        connection.leave_out_disconnected(cx, &mut tx).await?;
        let accounts = connection.store_accounts(cx, &mut tx, id).await?;
        tx.complete(json!({ "accounts": accounts })).await
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{engine::JobState, testing::Bench};

    async fn connected(bench: &Bench) -> store::AccountRow {
        bench.connect_page().await;
        account(bench).await
    }

    async fn account(bench: &Bench) -> store::AccountRow {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        store::list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0)
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(RefreshToken { token_id: TokenId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "token_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_living_token_lives_longer_each_time(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let before = connected(&bench).await;
        bench.engine.db.shift_clock(Duration::from_hours(24));
        for _ in 0..2 {
            let job = bench.enqueue(&RefreshToken { token_id: before.user_token_id }).await;
            bench.drain().await;
            assert_eq!(bench.job(job).await.state, JobState::Completed);
        }
        let after = account(&bench).await;
        assert!(after.token_expires_at > before.token_expires_at);
        assert_eq!((after.id, after.token_id), (before.id, before.token_id));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_token_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&RefreshToken { token_id: TokenId::new() }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_rate_limit_puts_it_off(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let account = connected(&bench).await;
        bench.sandbox.graph_error("exchange_token", 17, 0).await;
        let job = bench.enqueue(&RefreshToken { token_id: account.user_token_id }).await;
        bench.drain().await;
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Scheduled, 0));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_dead_token_marks_its_accounts(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let before = connected(&bench).await;
        bench.sandbox.graph_error("exchange_token", 190, 463).await;
        let job = bench.enqueue(&RefreshToken { token_id: before.user_token_id }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Discarded);
        let after = account(&bench).await;
        assert_eq!(after.status, store::AccountStatus::NeedsReauth);
        assert!(after.status_reason.unwrap().contains("connect the Page again"));
    }
}
