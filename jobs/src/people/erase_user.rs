//! Erases a person.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;
use crate::{
    audit::{self, Actor, Entry},
    engine::{Cause, Done, Job, JobContext, JobError, Queue, Retry},
    ids::{TenantId, UserId},
    tenants::{erase, members},
};

/// Erase the person `user_id`, and the tenants that nobody else is in.
///
/// Safe to repeat: all of it is one transaction, and whoever is gone is nothing to do. The tenants are erased by jobs of their own.
#[derive(Debug, Serialize, Deserialize)]
pub struct EraseUser {
    /// The person.
    pub user_id: UserId,
}

impl Job for EraseUser {
    const KIND: &'static str = "erase_user";
    const QUEUE: Queue = Queue::Default;
    const RETRY: Retry = Retry::PATIENT;
    const BY_HAND: bool = false;

    fn unique_key(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        if store::get(&mut tx, self.user_id).await?.is_none() {
            return Ok(Done::nothing("the person is gone"));
        }
        let owned = members::list_owned_alone(&mut tx, self.user_id).await?;
        if owned.iter().any(|(_, others)| *others > 0) {
            let words = "The person is the last owner of a tenant with other people in it: make one of them an owner, then retry.";
            return Err(JobError::Fail(Cause::plain("last_owner", words)));
        }
        let actor = Actor::job(cx.job_id(), Self::KIND);
        for (tenant_id, _) in &owned {
            erase::erase(&mut tx, &cx.services().keyring, &actor, *tenant_id).await?;
        }
        store::delete(&mut tx, self.user_id).await?;
        let entry = Entry {
            tenant_id: TenantId::SYSTEM,
            action: "user.erase".to_owned(),
            object_type: "user",
            object_id: self.user_id.to_string(),
            details: json!({ "tenants": owned.iter().map(|(id, _)| id).collect::<Vec<_>>() }),
        };
        audit::append(&mut tx, &cx.services().keyring, &actor, &[entry]).await?;
        tx.complete(json!({ "tenants": owned.len() })).await
    }
}
