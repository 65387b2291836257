//! The actions of staff on one job and one parked account, and jobs by hand.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    audit::{self, Actor, Entry},
    engine::{
        EnqueueError, Enqueued, Kind, NewJob, Tx,
        ledger::{self, Acted, Action, ActionError, JobRow},
        parked::{self, Unparked},
    },
    ids::{AccountId, JobId, TenantId},
    kinds::KINDS,
    services::Services,
};

/// Jobs to enqueue by hand.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// The tenant that owns them.
    pub tenant_id: TenantId,
    /// Their kind.
    pub kind: &'static Kind,
    /// The job to enqueue.
    pub job: NewJob,
    /// The time at which it becomes due; `None`: at once.
    pub run_at: Option<DateTime<Utc>>,
    /// The number of copies.
    pub copies: usize,
}

/// Enqueues jobs by hand.
///
/// # Errors
/// [`EnqueueError`].
pub async fn enqueue_by_hand(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    new: ByHand,
) -> Result<Vec<Enqueued>, EnqueueError> {
    let job = if let Some(time) = new.run_at { new.job.at(time) } else { new.job };
    let job = job.on_its_account(new.kind, tx).await?;
    let enqueued = tx.enqueue_all(vec![job; new.copies]).await?;
    let details = json!({
        "kind": new.kind.name, "run_at": new.run_at, "copies": enqueued.len(), "is_new": enqueued[0].is_new,
    });
    let entry = Entry::new(new.tenant_id, "job.create", "job", enqueued[0].id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(enqueued)
}

/// Acts on a job. Returns the job as it is afterwards.
///
/// # Errors
/// [`ActionError`].
pub async fn act_on_job(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    action: Action,
    id: JobId,
) -> Result<JobRow, ActionError> {
    let before = ledger::get_job(tx, id).await?.ok_or(ActionError::Missing)?;
    let acted = ledger::act_on(tx, KINDS, action, id).await?;
    audit::append(tx, &services.keyring, actor, &[entry(action, &before, &acted)]).await?;
    ledger::get_job(tx, id).await?.ok_or(ActionError::Missing)
}

fn entry(action: Action, before: &JobRow, acted: &Acted) -> Entry {
    let descendants: Vec<JobId> = acted.descendants.iter().map(|done| done.id).collect();
    let details = json!({
        "kind": before.kind,
        "before": before.state.name(),
        "outcome": acted.done.first().map(|done| done.outcome),
        "descendants": descendants,
    });
    Entry::new(before.tenant_id, &format!("job.{}", action.name()), "job", before.id, details)
}

/// Ends the parking of an account. Returns `None` if it is not parked.
pub async fn release_account(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    account_id: AccountId,
) -> Result<Option<Unparked>, sqlx::Error> {
    let Some(released) = parked::release(tx, account_id).await? else {
        return Ok(None);
    };
    let details = json!({ "reason": released.reason, "resumed": released.resumed });
    let entry = Entry::new(released.tenant_id, "account.release", "account", account_id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(released))
}
