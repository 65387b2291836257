//! Settles calls with an unknown outcome, as a person decides.

use serde_json::json;

use crate::{
    audit::{self, Actor, Entry},
    engine::{
        Tx,
        ledger::{self, ActionError, JobRow, Resolution, Resolved},
    },
    ids::{EffectId, JobId},
    posts,
    services::Services,
};

/// The decision of a person about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The outcome of the call.
    Resolve(Resolution),
    /// This call and another one were each taken for the other.
    Swap(EffectId),
}

/// Settles a call of a job. Returns the job as it is afterwards.
///
/// # Errors
/// [`ActionError`].
pub async fn settle_effect(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    (id, effect_id): (JobId, EffectId),
    settlement: &Settlement,
) -> Result<JobRow, ActionError> {
    ledger::get_job(tx, id).await?.ok_or(ActionError::Missing)?;
    let entry = match settlement {
        Settlement::Resolve(resolution) => {
            let resolved = ledger::resolve(tx, id, effect_id, resolution, &actor.name).await?;
            resolved_entry(id, effect_id, resolution, &resolved)
        }
        Settlement::Swap(other) => swap(tx, id, effect_id, *other, &actor.name).await?,
    };
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    ledger::get_job(tx, id).await?.ok_or(ActionError::Missing)
}

/// Swaps the remote ids of two calls, and of their deliveries.
async fn swap(
    tx: &mut Tx,
    job_id: JobId,
    effect_id: EffectId,
    other: EffectId,
    by: &str,
) -> Result<Entry, ActionError> {
    let swapped = ledger::swap_claims(tx, job_id, effect_id, other, by).await?;
    posts::store::swap_published(tx, swapped.tenant_id, job_id, swapped.other_job_id).await?;
    let details = json!({
        "job_id": job_id, "with": other, "remote_id": swapped.remote_id, "other_remote_id": swapped.other_remote_id,
    });
    Ok(Entry::new(swapped.tenant_id, "effect.swap", "effect", effect_id, details))
}

fn resolved_entry(job_id: JobId, effect_id: EffectId, resolution: &Resolution, resolved: &Resolved) -> Entry {
    let remote_id = match resolution {
        Resolution::Happened(id) => Some(id),
        Resolution::SendAgain | Resolution::GiveUp => None,
    };
    let details = json!({
        "job_id": job_id, "before": resolved.before, "after": resolved.after, "remote_id": remote_id,
        "job_runs": resolved.runs,
    });
    Entry::new(resolved.tenant_id, "effect.resolve", "effect", effect_id, details)
}
