//! A person's request to disconnect an account. Its tokens are erased at once.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    DisconnectAccount,
    store::{self, AccountStatus, Leaving},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{AccountId, TokenId},
    services::Services,
};

/// The fate of an account's waiting work when the account is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// It is cancelled.
    Cancel,
    /// It waits until somebody connects the account again.
    Pause,
}

impl Waiting {
    /// Returns the name in the API and in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
        }
    }
}

/// Disconnects an account, and erases its tokens. The job that is returned cancels what waited, and
/// revokes the permission at the provider.
///
/// Idempotent. Returns `None` if there is no such account in this scope.
pub async fn disconnect(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    account_id: AccountId,
    waiting: Waiting,
) -> Result<Option<Enqueued>, EnqueueError> {
    let Some(account) = store::lock_account(tx, account_id).await? else {
        return Ok(None);
    };
    let tenant_id = account.tenant_id;
    let is_first = account.status != AccountStatus::Disconnected;
    if is_first {
        store::mark_disconnected(tx, tenant_id, &[account_id]).await?;
    }
    let Leaving { token_id, user_token_id, .. } = account;
    let used = store::list_used_tokens(tx, tenant_id, &[token_id, user_token_id]).await?;
    let is_kept = used.contains(&user_token_id);
    let revocation_id = if is_first { erase(tx, services, &account, &used).await? } else { None };
    let job = DisconnectAccount { account_id, waiting, is_kept, revocation_id };
    let job = tx.enqueue(NewJob::new(tenant_id, &job)).await?;
    let details = json!({ "waiting": waiting, "job_id": job.id, "is_first": is_first });
    let entry = Entry::new(tenant_id, "account.disconnect", "account", account_id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(job))
}

/// Erases the tokens that no other account needs. Returns the revocation for which the person's
/// token is stored.
async fn erase(
    tx: &mut Tx,
    services: &Services,
    account: &Leaving,
    used: &[TokenId],
) -> Result<Option<Uuid>, sqlx::Error> {
    let Leaving { tenant_id, token_id, user_token_id, .. } = *account;
    let is_kept = used.contains(&user_token_id);
    let revocation_id = if is_kept { None } else { keep_to_revoke(tx, services, account).await? };
    let erased: Vec<_> = [token_id, user_token_id].into_iter().filter(|id| !used.contains(id)).collect();
    store::erase_tokens(tx, tenant_id, &erased).await?;
    Ok(revocation_id)
}

/// Stores the person's token until it is revoked. A token that cannot be read is only erased.
async fn keep_to_revoke(tx: &mut Tx, services: &Services, account: &Leaving) -> Result<Option<Uuid>, sqlx::Error> {
    let (keyring, tenant_id) = (&services.keyring, account.tenant_id);
    let place = store::token_place(tenant_id, account.user_token_id);
    let Ok(token) = keyring.decrypt(place, &account.user_access_token) else {
        return Ok(None);
    };
    let id = Uuid::now_v7();
    let envelope = keyring.encrypt(store::revocation_place(tenant_id, id), &token);
    store::insert_revocation(tx, tenant_id, id, account, &envelope).await?;
    Ok(Some(id))
}
