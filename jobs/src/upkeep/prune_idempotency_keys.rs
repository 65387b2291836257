//! Prunes the stored responses of requests with an Idempotency-Key.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry},
    idempotency::store,
    queues,
    services::Services,
};

/// The number of keys deleted in one transaction.
const KEYS_AT_ONCE: i64 = 1_000;

/// Prunes expired idempotency keys.
///
/// Safe to repeat: rows that are gone are not found again, and an expired key has no effect even
/// before it is deleted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PruneIdempotencyKeys {}

impl Job for PruneIdempotencyKeys {
    type Services = Services;

    const KIND: &'static str = "prune_idempotency_keys";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;
    const TIMEOUT: Duration = Duration::from_mins(10);

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut pruned = 0;
        loop {
            let mut tx = cx.begin().await?;
            let deleted = store::delete_old(&mut tx, KEYS_AT_ONCE).await?;
            tx.commit().await?;
            pruned += deleted;
            if deleted == 0 {
                break;
            }
        }
        cx.begin().await?.complete(json!({ "keys": pruned })).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{idempotency::store::Request, ids::TenantId, testing::Bench};

    async fn claim(bench: &Bench, caller_id: Uuid) -> Option<Uuid> {
        let request = Request { tenant_id: TenantId::SYSTEM, caller_id, key_sha256: vec![1], request_sha256: vec![2] };
        let mut tx = bench.engine.db.system().await.unwrap();
        let claimed = store::claim(&mut tx, &request).await.unwrap();
        tx.commit().await.unwrap();
        claimed
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn keys_of_yesterday_go_and_todays_stay(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let (old, new) = (Uuid::now_v7(), Uuid::now_v7());
        assert!(claim(&bench, old).await.is_some() && claim(&bench, new).await.is_some());
        bench
            .execute("update idempotency_keys set created_at = now() - interval '24 hours' where caller_id = $1", old)
            .await;
        for pruned in [1, 0] {
            let id = bench.enqueue_for_system(&PruneIdempotencyKeys {}).await;
            let job = bench.run(id).await;
            assert_eq!(job.result, Some(json!({ "keys": pruned })), "{:?}", job.error);
        }
        assert!(claim(&bench, new).await.is_none(), "still held");
        assert!(claim(&bench, old).await.is_some(), "free again");
    }

    #[test]
    fn the_payload_keeps_its_form() {
        assert_eq!(serde_json::to_value(PruneIdempotencyKeys::default()).unwrap(), json!({}));
    }
}
