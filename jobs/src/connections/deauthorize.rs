//! Ends the connections of a person who removed our app at a provider.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    mark_dead,
    store::{self, DeauthorizationRow, EndedGrant},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Cause, CauseClass, Done, EnqueueError, Job, JobContext, JobError, NewJob, Queue, Retry, Tx},
    ids::TenantId,
    providers::{Provider, Report},
    queues,
    secrets::fingerprint,
    services::Services,
};

/// The number of connections that are read at once.
const GRANTS_AT_ONCE: i64 = 100;

/// Ends the connections that the report `deauthorization_id` is about, in every tenant.
///
/// Safe to repeat: an ended connection is not found again. The report is done when none is left.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deauthorize {
    /// The row with the report.
    pub deauthorization_id: Uuid,
}

/// Accepts a report that a person removed our app, which [`crate::providers::Providers::read_report`]
/// has verified. Returns its id. Needs the system scope.
///
/// Idempotent: the same report again has no effect, and the same id.
pub async fn deauthorize(
    tx: &mut Tx,
    (provider, report): (Provider, &Report),
    signed_request: &str,
    erases_data: bool,
) -> Result<Uuid, EnqueueError> {
    let digest = fingerprint(signed_request);
    let (id, is_new) = store::insert_deauthorization(tx, provider, report, &digest, erases_data).await?;
    if is_new {
        tx.enqueue(NewJob::new(TenantId::SYSTEM, &Deauthorize { deauthorization_id: id })).await?;
    }
    Ok(id)
}

impl Job for Deauthorize {
    type Services = Services;

    const KIND: &'static str = "deauthorize";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::PATIENT;

    fn unique_key(&self) -> Option<String> {
        Some(self.deauthorization_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        if cx.tenant_id() != TenantId::SYSTEM {
            return Err(JobError::Fail(Cause::plain(CauseClass::Permanent, "Only the system reads such reports.")));
        }
        let id = self.deauthorization_id;
        let mut tx = cx.begin().await?;
        let row = store::get_deauthorization(&mut tx, id).await?;
        drop(tx);
        let Some((row, subject_id)) = row.and_then(|row| row.subject_id.clone().map(|subject_id| (row, subject_id)))
        else {
            return Ok(Done::nothing("the report was deleted, or is done"));
        };
        loop {
            let mut tx = cx.begin().await?;
            let grants = store::list_ended_grants(&mut tx, &row, &subject_id, GRANTS_AT_ONCE).await?;
            drop(tx);
            if grants.is_empty() {
                break;
            }
            for grant in grants {
                end(cx, &row, &subject_id, grant).await?;
            }
        }
        let mut tx = cx.begin().await?;
        store::mark_deauthorized(&mut tx, id).await?;
        let done = store::get_deauthorization(&mut tx, id).await?;
        let (tokens, accounts) = done.map_or((0, 0), |row| (row.tokens_erased, row.accounts_ended));
        tx.complete(json!({ "tokens": tokens, "accounts": accounts })).await
    }
}

/// Ends one connection, in a transaction of its tenant. The people of the tenant are told.
async fn end(cx: &JobContext, row: &DeauthorizationRow, subject_id: &str, grant: EndedGrant) -> Result<(), JobError> {
    let EndedGrant { tenant_id, token_id } = grant;
    let provider = row.provider.known()?;
    let mut tx = cx.db().tenant(tenant_id).await?;
    let accounts = store::list_accounts_of_grant(&mut tx, grant).await?;
    let mut tokens: Vec<_> = accounts.iter().map(|&(_, token_id)| token_id).chain([token_id]).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let erased = store::erase_tokens(&mut tx, tenant_id, &tokens).await?;
    mark_dead(&mut tx, tenant_id, token_id, &reason(provider)).await?;
    store::delete_revocations_of(&mut tx, tenant_id, row, subject_id).await?;
    if row.erases_data {
        store::erase_person(&mut tx, grant).await?;
    }
    let ids: Vec<_> = accounts.iter().map(|&(id, _)| id).collect();
    let details = json!({ "accounts": ids, "erases_data": row.erases_data, "tokens": erased });
    let entry = Entry::new(tenant_id, "account.deauthorize", "token", token_id, details);
    let actor = Actor::job(cx.job_id(), Deauthorize::KIND);
    audit::append(&mut tx, &cx.services().keyring, &actor, &[entry]).await?;
    tx.commit().await?;
    let mut tx = cx.begin().await?;
    store::add_to_deauthorization(&mut tx, row.id, erased, accounts.len()).await?;
    tx.commit().await
}

fn reason(provider: Provider) -> String {
    let (label, noun) = (provider.label(), provider.account_noun());
    format!("Its person removed Linecook at {label}: connect the {noun} again.")
}

#[cfg(test)]
mod tests;
