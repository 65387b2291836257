//! Swapping the remote ids of two effects that were taken for each other.

use serde_json::json;

use super::ActionError;
use crate::{
    Tx,
    ids::{EffectId, JobId, TenantId},
};

/// Two effects whose remote ids were swapped.
#[derive(Debug, Clone)]
pub struct Swapped {
    /// The tenant that owns both.
    pub tenant_id: TenantId,
    /// The job of the other effect.
    pub other_job_id: JobId,
    /// The new remote id of the first effect.
    pub remote_id: String,
    /// The new remote id of the other effect.
    pub other_remote_id: String,
}

struct Claim {
    id: EffectId,
    tenant_id: TenantId,
    job_id: JobId,
    network: String,
    remote_account: String,
    remote_id: String,
}

/// Swaps the remote ids of two confirmed effects of one account. The caller updates the rows that
/// depend on them.
///
/// # Errors
/// An [`ActionError`] says why the swap was refused. Nothing has changed then.
pub async fn swap_claims(
    tx: &mut Tx,
    job_id: JobId,
    effect_id: EffectId,
    other: EffectId,
    by: &str,
) -> Result<Swapped, ActionError> {
    let mut claims = lock_claims(tx, effect_id, other).await?;
    let (Some(second), Some(first), None) = (claims.pop(), claims.pop(), claims.pop()) else {
        return Err(ActionError::NotTwoClaims);
    };
    let (mine, other) = if first.id == effect_id { (first, second) } else { (second, first) };
    if mine.job_id != job_id {
        return Err(ActionError::NoEffect);
    }
    let is_one_account = mine.tenant_id == other.tenant_id
        && mine.network == other.network
        && mine.remote_account == other.remote_account;
    if !is_one_account {
        return Err(ActionError::NotTwoClaims);
    }
    // A remote id is unique at each moment, so the first effect gives its id up before the other
    // takes it.
    set(tx, &mine, &format!("{} (swapping)", mine.remote_id), None).await?;
    set(tx, &other, &mine.remote_id, Some(by)).await?;
    set(tx, &mine, &other.remote_id, Some(by)).await?;
    sqlx::query_scalar!(
        r#"select swap_remotes($1, $2, $3, $4) as "swapped!""#,
        mine.network,
        mine.remote_account,
        mine.id.0,
        other.id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Swapped {
        tenant_id: mine.tenant_id,
        other_job_id: other.job_id,
        remote_id: other.remote_id,
        other_remote_id: mine.remote_id,
    })
}

async fn lock_claims(tx: &mut Tx, one: EffectId, other: EffectId) -> Result<Vec<Claim>, sqlx::Error> {
    sqlx::query_as!(
        Claim,
        r#"
        select id as "id: EffectId", tenant_id as "tenant_id: TenantId", job_id as "job_id: JobId", network as "network!",
          remote_account as "remote_account!", remote_id as "remote_id!"
        from effects
        where id in ($1, $2) and state = 'confirmed' and network is not null and remote_account is not null
          and remote_id is not null
        order by id
        for update
        "#,
        one.0,
        other.0
    )
    .fetch_all(&mut **tx)
    .await
}

async fn set(tx: &mut Tx, claim: &Claim, remote_id: &str, by: Option<&str>) -> Result<(), sqlx::Error> {
    let facts = by.map_or_else(|| json!([]), |by| json!([{ "swapped": remote_id, "by": by }]));
    sqlx::query!(
        "
        update effects
        set remote_id = $3, facts = facts || $4
        where tenant_id = $1 and id = $2
        ",
        claim.tenant_id.0,
        claim.id.0,
        remote_id,
        facts
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
