//! Enqueues refreshes of user tokens before they expire.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    RefreshToken,
    store::{self, DueToken},
};
use crate::{
    engine::{Done, Job, JobContext, JobError, NewJob, Queue, Retry},
    queues,
    services::Services,
};

/// The number of jobs that one transaction enqueues.
const BATCH: i64 = 500;

/// The number of days that outcomes of refreshes are kept.
const HISTORY_DAYS: i32 = 90;

/// The number of outcomes that one run deletes.
const PRUNED_AT_ONCE: i64 = 20_000;

/// The time over which refreshes are spread.
const SPREAD: TimeDelta = TimeDelta::minutes(50);

/// Enqueues a `refresh_token` job for every user token that is due, spread over the time until the
/// next run. Deletes old outcomes of refreshes.
///
/// Safe to repeat: a token with an unfinished job is skipped, and so is one that was just
/// refreshed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RefreshTokens {}

impl Job for RefreshTokens {
    type Services = Services;

    const KIND: &'static str = "refresh_tokens";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        store::prune_refreshes(&mut tx, HISTORY_DAYS, PRUNED_AT_ONCE).await?;
        tx.commit().await?;
        let upkeep = cx.services().upkeep;
        let mut enqueued = 0;
        loop {
            let mut tx = cx.begin().await?;
            let (days, interval) = (upkeep.token_refresh_threshold_days.into(), upkeep.token_refresh_interval);
            let tokens = store::list_due_user_tokens(&mut tx, days, interval, BATCH).await?;
            if tokens.is_empty() {
                return tx.complete(json!({ "tokens": enqueued })).await;
            }
            let now = tx.now().await?;
            let jobs = tokens.into_iter().map(|token| {
                NewJob::new(token.tenant_id, &RefreshToken { token_id: token.id }).at(now + delay(&token, now))
            });
            enqueued += tx.enqueue_all(jobs.collect()).await?.len();
            tx.commit().await?;
        }
    }
}

/// Returns a random part of the time over which refreshes are spread. A token that ends sooner has
/// at least half of its time left.
fn delay(token: &DueToken, now: DateTime<Utc>) -> TimeDelta {
    let left = token.expires_at.map_or(TimeDelta::MAX, |end| (end - now).max(TimeDelta::zero()) / 2);
    let at_most = left.min(SPREAD);
    TimeDelta::milliseconds(rand::random_range(0..=at_most.num_milliseconds()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::*;
    use crate::{engine::JobState, ids::TokenId, testing::Bench};

    const DAY: Duration = Duration::from_hours(24);

    async fn user_token(bench: &Bench) -> TokenId {
        bench.connect_page().await;
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        store::list_accounts(&mut tx, bench.tenant_id).await.unwrap()[0].user_token_id
    }

    /// Runs only the reconciler. Returns the tokens for which it enqueued jobs.
    async fn reconcile(bench: &Bench) -> Vec<TokenId> {
        let job = bench.enqueue_for_system(&RefreshTokens::default()).await;
        assert_eq!(bench.run(job).await.state, JobState::Completed);
        bench.enqueued::<RefreshToken>().await.into_iter().map(|job| job.token_id).collect()
    }

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(RefreshTokens::default()).unwrap(), json!({}));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_token_is_refreshed_in_its_last_week_and_no_more_than_once_a_day(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let token = user_token(&bench).await;
        bench.engine.db.shift_clock(52 * DAY);
        assert_eq!(reconcile(&bench).await, []);
        bench.engine.db.shift_clock(2 * DAY);
        assert_eq!(reconcile(&bench).await, [token]);
        assert_eq!(reconcile(&bench).await, [token], "one job on its way is enough");
        let before = bench.sandbox.calls("exchange_token").await;
        bench.drain_after(SPREAD.to_std().unwrap()).await;
        assert_eq!(bench.sandbox.calls("exchange_token").await, before + 1);
        bench.execute("update oauth_tokens set expires_at = engine_now() where id = $1", token.0).await;
        assert_eq!(reconcile(&bench).await, [], "refreshed just now");
        bench.engine.db.shift_clock(DAY);
        assert_eq!(reconcile(&bench).await, [token]);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_token_that_no_account_works_on_is_left_alone(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let token = user_token(&bench).await;
        bench.execute("update social_accounts set status = 'needs_reauth' where user_token_id = $1", token.0).await;
        bench.engine.db.shift_clock(58 * DAY);
        assert_eq!(reconcile(&bench).await, []);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn more_tokens_than_a_batch_are_all_refreshed(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let token = user_token(&bench).await;
        bench
            .execute(
                "
                with copies as (
                  insert into oauth_tokens (id, tenant_id, provider, kind, subject_id, access_token, expires_at)
                  select gen_random_uuid(), tenant_id, provider, kind, n::text, access_token, expires_at
                  from oauth_tokens, generate_series(1, 1100) n
                  where id = $1
                  returning id, tenant_id, provider, subject_id
                )
                insert into social_accounts (id, tenant_id, platform, remote_id, name, status, user_token_id, token_id)
                select gen_random_uuid(), tenant_id, provider, 'copy ' || subject_id, 'Copy', 'active', id, id
                from copies
                ",
                token.0,
            )
            .await;
        bench.engine.db.shift_clock(54 * DAY);
        assert_eq!(reconcile(&bench).await.len(), 1_101);
    }
}
