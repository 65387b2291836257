//! Resolution of a call with an unknown outcome, by a person.

use serde_json::{Value, json};
use uuid::Uuid;

use super::ActionError;
use crate::{
    EffectState, JobState, Tx,
    effects::claim_remote,
    ids::{EffectId, JobId, TenantId},
};

/// A person's finding on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The call happened; this is the provider's id of the result.
    Happened(String),
    /// The call did not happen and is to be made now.
    SendAgain,
    /// The call did not happen and is not to be made any more.
    GiveUp,
}

impl Resolution {
    pub(super) fn state(&self) -> EffectState {
        match self {
            Self::Happened(_) => EffectState::Confirmed,
            Self::SendAgain => EffectState::Intended,
            Self::GiveUp => EffectState::Failed,
        }
    }

    fn remote_id(&self) -> Option<&str> {
        match self {
            Self::Happened(id) => Some(id),
            Self::SendAgain | Self::GiveUp => None,
        }
    }
}

/// A resolved effect.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The state before the resolution.
    pub before: EffectState,
    /// The state after it.
    pub after: EffectState,
    /// True if the job runs now and records the result. False if another effect of the job is still
    /// open.
    pub runs: bool,
}

struct Open {
    tenant_id: TenantId,
    state: EffectState,
    is_over: bool,
    /// The id that the provider returned, if it did.
    remote_id: Option<String>,
}

/// Settles an effect by a person's decision and wakes the job, whose next attempt records the
/// result.
///
/// # Errors
/// An [`ActionError`] says why the resolution was refused. Nothing has changed then.
pub async fn resolve(
    tx: &mut Tx,
    job_id: JobId,
    effect_id: EffectId,
    resolution: &Resolution,
    by: &str,
) -> Result<Resolved, ActionError> {
    let effect = lock_effect(tx, job_id, effect_id).await?.ok_or(ActionError::NoEffect)?;
    match effect.state {
        EffectState::Unknown => {}
        EffectState::Sent if effect.is_over => {}
        EffectState::Sent => return Err(ActionError::StillLooking),
        EffectState::Intended | EffectState::Confirmed | EffectState::Failed => {
            return Err(ActionError::Settled(effect.state));
        }
    }
    if let (Resolution::SendAgain | Resolution::GiveUp, Some(id)) = (resolution, effect.remote_id) {
        return Err(ActionError::Happened(id));
    }
    let state =
        sqlx::query_scalar!(r#"select state as "state: JobState" from jobs where id = $1 for update"#, job_id.0)
            .fetch_optional(&mut **tx)
            .await?
            .ok_or(ActionError::Missing)?;
    // An attempt that reads back right now would overwrite this decision.
    if state == JobState::Executing {
        return Err(ActionError::StillLooking);
    }
    if let Some(remote_id) = resolution.remote_id()
        && !claim_remote(tx, effect.tenant_id, effect_id, remote_id).await?
    {
        return Err(ActionError::RemoteIdTaken);
    }
    mark(tx, effect.tenant_id, effect_id, resolution, by).await?;
    let runs = wake(tx, effect.tenant_id, job_id).await? || state == JobState::Available;
    Ok(Resolved { tenant_id: effect.tenant_id, before: effect.state, after: resolution.state(), runs })
}

/// Reads and locks the effect. A provider without a recorded lag gets an hour to show the call.
async fn lock_effect(tx: &mut Tx, job_id: JobId, effect_id: EffectId) -> Result<Option<Open>, sqlx::Error> {
    sqlx::query_as!(
        Open,
        r#"
        select tenant_id as "tenant_id: TenantId", state as "state: EffectState", remote_id,
          coalesce(engine_now() > send_until + make_interval(secs => coalesce(lag_seconds, 3600)), false) as "is_over!"
        from effects
        where id = $1 and job_id = $2
        for update
        "#,
        effect_id.0,
        job_id.0
    )
    .fetch_optional(&mut **tx)
    .await
}

async fn mark(
    tx: &mut Tx,
    tenant_id: TenantId,
    id: EffectId,
    resolution: &Resolution,
    by: &str,
) -> Result<(), ActionError> {
    let fact: Value = json!([{ "resolved": resolution.state(), "remote_id": resolution.remote_id(), "by": by }]);
    let marked = sqlx::query!(
        "
        update effects
        set state = $3, remote_id = $4, facts = facts || $5
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0,
        resolution.state().name(),
        resolution.remote_id(),
        fact
    )
    .execute(&mut **tx)
    .await;
    match marked {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("effects_remote_id") => {
            Err(ActionError::RemoteIdTaken)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the job available if none of its effects is open any more. Returns true if it did.
async fn wake(tx: &mut Tx, tenant_id: TenantId, job_id: JobId) -> Result<bool, sqlx::Error> {
    let woken: Option<Uuid> = sqlx::query_scalar!(
        "
        update jobs
        set state = 'available', suspended_on = null, run_at = engine_stamp(), due_at = engine_stamp(), dispatched_at = null
        where tenant_id = $1 and id = $2 and state is not distinct from 'suspended'
          and not exists (
            select from effects e where e.tenant_id = $1 and e.job_id = $2 and e.state in ('sent', 'unknown')
          )
        returning id
        ",
        tenant_id.0,
        job_id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    if woken.is_some() {
        tx.wake_after_commit();
    }
    Ok(woken.is_some())
}
