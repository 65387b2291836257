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

/// A rest of a job's lane.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    queue: String,
    tenant_id: TenantId,
    lane: Uuid,
    time: Duration,
}

impl Rest {
    /// Returns the rest after an attempt, if the job's queue has one.
    pub(super) fn after(job: &Claimed) -> Option<Self> {
        job.rest.map(|time| Self::of(job, time))
    }

    pub(super) fn of(job: &Claimed, time: Duration) -> Self {
        Self { queue: job.queue.clone(), tenant_id: job.attempt.tenant_id, lane: job.lane, time }
    }

    /// Lets the lane rest. A longer rest that exists stays.
    pub(super) async fn begin(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "
            insert into resting_lanes as resting (queue, tenant_id, lane, until)
            values ($1, $2, $3, engine_stamp() + make_interval(secs => $4))
            on conflict (queue, tenant_id, lane) do update set until = greatest(resting.until, excluded.until)
            ",
            self.queue,
            self.tenant_id.0,
            self.lane,
            self.time.as_secs_f64()
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// Ends parks of a tenant's accounts before their time.
pub(super) async fn unpark(tx: &mut Tx, tenant_id: TenantId, accounts: &[AccountId]) -> Result<(), sqlx::Error> {
    let accounts: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    sqlx::query!("delete from parked_accounts where tenant_id = $1 and account_id = any($2)", tenant_id.0, &accounts)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
