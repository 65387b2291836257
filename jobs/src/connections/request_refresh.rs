//! A person's request to refresh a connection now.

use serde_json::json;

use super::{RefreshToken, store::TokenHealth};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Priority, Tx},
    services::Services,
};

/// Enqueues a refresh of an account's connection, before others. A refresh that waits already is
/// used.
///
/// # Errors
/// [`EnqueueError`].
pub async fn request_refresh(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    account: &TokenHealth,
) -> Result<Enqueued, EnqueueError> {
    let job = NewJob::new(account.tenant_id, &RefreshToken { token_id: account.user_token_id });
    let job = tx.enqueue(job.with_priority(Priority::Interactive)).await?;
    let entry = Entry::new(
        account.tenant_id,
        "account.refresh",
        "account",
        account.account_id,
        json!({ "job_id": job.id, "is_new": job.is_new }),
    );
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(job)
}
