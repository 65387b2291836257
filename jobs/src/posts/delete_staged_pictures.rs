//! Deletes the pictures that were uploaded for a delivery which was not published.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{publish_post::effect_key, store};
use crate::{
    connections,
    engine::{Done, Job, JobContext, JobError, Queue, Retry, Tx},
    ids::{AccountId, DeliveryId, TenantId},
    providers::RemoteAccount,
    queues,
    services::Services,
};

/// Deletes the pictures staged for the delivery `delivery_id`.
///
/// Safe to repeat: the pictures are taken off the delivery before they are deleted, so a second
/// attempt finds none. If an attempt dies in between, its pictures stay at the network. Nobody sees
/// them, and the network deletes them in time.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteStagedPictures {
    /// The delivery.
    pub delivery_id: DeliveryId,
}

impl Job for DeleteStagedPictures {
    type Services = Services;

    const KIND: &'static str = "delete_staged_pictures";
    const QUEUE: Queue = queues::POSTING;
    const RETRY: Retry = Retry::NEVER;
    const PERMISSION: Option<&'static str> = Some("posts:publish");

    fn unique_key(&self) -> Option<String> {
        Some(self.delivery_id.to_string())
    }

    async fn account(&self, tenant_id: TenantId, tx: &mut Tx) -> Result<Option<AccountId>, sqlx::Error> {
        store::find_account(tx, tenant_id, self.delivery_id).await
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let key = effect_key(self.delivery_id);
        let staged = store::take_staged(&mut tx, cx.tenant_id(), self.delivery_id, &key).await?;
        tx.commit().await?;
        let Some(staged) = staged else {
            return Ok(Done::nothing("there are none, or the delivery goes out after all"));
        };
        let place = connections::store::token_place(cx.tenant_id(), staged.token_id);
        let token = cx.services().keyring.decrypt(place, &staged.access_token)?;
        let publisher = cx.services().providers.publisher(staged.platform.known()?)?;
        let account = RemoteAccount { id: staged.account_id, remote_id: &staged.page_id, token: &token };
        let mut deleted = 0;
        for id in &staged.media {
            match publisher.delete_staged(account, id).await {
                Ok(()) => deleted += 1,
                // Best effort: the network deletes it in time.
                Err(error) => tracing::info!(job_id = %cx.job_id(), %error, "a staged picture stays"),
            }
        }
        cx.begin().await?.complete(json!({ "deleted": deleted, "left": staged.media.len() - deleted })).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{engine::JobState, testing::Bench};

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(DeleteStagedPictures { delivery_id: DeliveryId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "delivery_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_delivery_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&DeleteStagedPictures { delivery_id: DeliveryId::new() }).await;
        assert_eq!(bench.run(job).await.state, JobState::Completed);
    }
}
