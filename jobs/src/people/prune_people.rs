//! Removes expired sessions, tokens, links and registrations.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry},
    queues,
    services::Services,
};

/// The number of rows of each kind that one transaction removes.
const AT_ONCE: i64 = 1_000;

/// Prunes ended sessions, used tokens, old links, expired throttles, and addresses that were never
/// verified.
///
/// Safe to repeat: rows that are gone are not found again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PrunePeople {}

impl Job for PrunePeople {
    type Services = Services;

    const KIND: &'static str = "prune_people";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut pruned = 0;
        loop {
            let mut tx = cx.begin().await?;
            let some = store::prune(&mut tx, AT_ONCE).await?;
            tx.commit().await?;
            pruned += some;
            if some < AT_ONCE {
                return cx.begin().await?.complete(json!({ "rows": pruned })).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::PgPool;

    use super::*;
    use crate::{
        people::{
            Address,
            sessions::{self, NewSession},
            sign_in::ClientOrigin,
            store::{Names, insert_pending_sign_in, put_address_change},
            throttle::Throttle,
        },
        testing::Bench,
    };

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(PrunePeople {}).unwrap(), json!({}));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn what_nobody_can_use_goes_and_people_stay(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let mut tx = bench.engine.db.system().await.unwrap();
        let user = store::ensure(&mut tx, &Address::parse("somebody@example.com").unwrap()).await.unwrap();
        store::mark_verified(&mut tx, user, None, Names::of("Some Body")).await.unwrap();
        let from = ClientOrigin::default();
        let new = NewSession { user_id: user, cookie: None, from: &from, has_second_factor: false };
        let session = sessions::insert(&mut tx, &new).await.unwrap();
        let (life, other) = (Duration::from_mins(10), Address::parse("other@example.com").unwrap());
        insert_pending_sign_in(&mut tx, user, life).await.unwrap();
        put_address_change(&mut tx, user, &other, life).await.unwrap();
        let token = sessions::insert_refresh_token(&mut tx, session, None).await.unwrap();
        sessions::exchange(&mut tx, &token).await.unwrap();
        store::ensure(&mut tx, &Address::parse("nobody@example.com").unwrap()).await.unwrap();
        Throttle::RESET_LETTER.take(&mut tx, "somebody@example.com").await.unwrap();
        tx.commit().await.unwrap();

        let prune = async || {
            let job = bench.enqueue_for_system(&PrunePeople {}).await;
            bench.drain().await;
            bench.job(job).await.result.unwrap()["rows"].as_i64().unwrap()
        };
        assert_eq!(prune().await, 0, "all of it is of use");
        bench.engine.db.shift_clock(Duration::from_hours(24 * 61));
        assert_eq!(prune().await, 6, "the session, its token, two that waited, the throttle, and who never verified");
        assert_eq!(prune().await, 0);
        let mut tx = bench.engine.db.system().await.unwrap();
        assert!(store::get(&mut tx, user).await.unwrap().is_some());
    }
}
