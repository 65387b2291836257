//! Marks the accounts of a dead grant.

use super::store;
use crate::{
    engine::{Facts, Tx},
    ids::{TenantId, TokenId},
    mail::{self, Email},
    service_keys::store as keys,
};

/// If a job was given up for a reason that only the person can mend, marks the accounts that depend
/// on the person's token, and tells the tenant about those that were not marked before.
pub(super) async fn need_person(
    tx: &mut Tx,
    tenant_id: TenantId,
    token_id: TokenId,
    facts: &Facts,
) -> Result<(), sqlx::Error> {
    if !facts.class.is_for_the_user() {
        return Ok(());
    }
    mark_dead(tx, tenant_id, token_id, &facts.message).await
}

/// Marks the accounts that depend on a person's token, and tells the tenant about those that were
/// not marked before. If a key opened them all, the tenant is told about the key alone.
pub(super) async fn mark_dead(
    tx: &mut Tx,
    tenant_id: TenantId,
    token_id: TokenId,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let accounts = store::list_account_ids_of_user_token(tx, tenant_id, token_id).await?;
    let marked = store::mark_needs_reauth(tx, tenant_id, &accounts, reason).await?;
    if let Some(key_id) = keys::find_of_token(tx, tenant_id, token_id).await? {
        let is_news = keys::mark_refused(tx, tenant_id, key_id, reason).await?;
        return mail::enqueue_all(tx, tenant_id, is_news.then_some(Email::KeyRefused { key_id })).await;
    }
    let emails = marked.into_iter().map(|account_id| Email::AccountNeedsAttention { account_id });
    mail::enqueue_all(tx, tenant_id, emails).await
}
