//! Copies the heads of the tenants' chains into the operators' chain.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, KnownHead, anchor, store};
use crate::{
    engine::{Done, Job, JobContext, JobError, Queue, Retry},
    ids::TenantId,
    queues,
    services::Services,
};

/// The number of heads in one entry.
const AT_ONCE: i64 = 300;

/// Anchors the chains that moved.
///
/// Safe to repeat: a head that is copied is marked in the same transaction.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AnchorAuditLog {}

impl Job for AnchorAuditLog {
    type Services = Services;

    const KIND: &'static str = "anchor_audit_log";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::NEVER;

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let actor = Actor::job(cx.job_id(), Self::KIND);
        let (mut count, mut next) = (0, Some(TenantId::SYSTEM));
        while let Some(after) = next {
            let mut tx = cx.begin().await?;
            tx.hold().await?;
            let anchored = anchor::anchor_some(&mut tx, &cx.services().keyring, &actor, after, AT_ONCE).await?;
            tx.commit().await?;
            (count, next) = (count + anchored.count, anchored.next);
        }
        let mut tx = cx.begin().await?;
        let head = store::get_head(&mut tx, TenantId::SYSTEM).await?.and_then(|head| KnownHead::of(&head));
        if let Some(head) = &head {
            // Logs are kept outside the database, so somebody who cuts the operators' chain there
            // cannot change this line.
            tracing::info!(head = %head, "where the operators' audit log ends");
        }
        tx.complete(json!({ "anchored": count, "head": head.map(|head| head.to_string()) })).await
    }
}
