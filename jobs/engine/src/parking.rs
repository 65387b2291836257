//! Parked accounts and resting lanes. Their jobs wait until a time, at no cost, and hold up no
//! others.

use std::time::Duration;

use uuid::Uuid;

use super::{Claimed, Facts, Tx};
use crate::ids::{AccountId, TenantId};

/// Parks an account for this long. A longer park that exists stays.
pub(super) async fn park(
    tx: &mut Tx,
    tenant_id: TenantId,
    account_id: AccountId,
    after: Duration,
    facts: Option<&Facts>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into parked_accounts as parked (tenant_id, account_id, until, reason)
        values ($1, $2, engine_stamp() + make_interval(secs => $3), $4)
        on conflict (tenant_id, account_id) do update set
          until = greatest(parked.until, excluded.until),
          reason = excluded.reason
        ",
        tenant_id.0,
        account_id.0,
        after.as_secs_f64(),
        facts.map(Facts::to_json).unwrap_or_default()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Lets a job's lane rest for this long. A longer rest that exists stays.
pub(super) async fn rest(tx: &mut Tx, job: &Claimed, rest: Duration) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into resting_lanes as resting (queue, tenant_id, lane, until)
        values ($1, $2, $3, engine_stamp() + make_interval(secs => $4))
        on conflict (queue, tenant_id, lane) do update set until = greatest(resting.until, excluded.until)
        ",
        job.queue,
        job.attempt.tenant_id.0,
        job.lane(),
        rest.as_secs_f64()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends parks of a tenant's accounts before their time.
pub(super) async fn unpark(tx: &mut Tx, tenant_id: TenantId, accounts: &[AccountId]) -> Result<(), sqlx::Error> {
    let accounts: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    sqlx::query!("delete from parked_accounts where tenant_id = $1 and account_id = any($2)", tenant_id.0, &accounts)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
