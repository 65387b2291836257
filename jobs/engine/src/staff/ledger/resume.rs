//! Waking jobs that wait for an account.

use crate::{
    Parked, Tx,
    ids::{AccountId, TenantId},
    parking,
};

/// Ends the park of a tenant's accounts and makes the jobs available that waited for them. Returns
/// the number of jobs.
pub async fn resume_accounts(tx: &mut Tx, tenant_id: TenantId, accounts: &[AccountId]) -> Result<u64, sqlx::Error> {
    parking::unpark(tx, tenant_id, accounts).await?;
    let on: Vec<String> = accounts.iter().map(|&id| Parked::Account(id).name()).collect();
    let resumed = sqlx::query!(
        "
        update jobs
        set state = 'available', suspended_on = null, run_at = engine_stamp(), due_at = engine_stamp()
        where id in (
          select id
          from jobs
          where tenant_id = $1 and state = 'suspended' and suspended_on = any($2)
          order by depth desc, id
          for update
        )
        ",
        tenant_id.0,
        &on
    )
    .execute(&mut **tx)
    .await?;
    if resumed.rows_affected() > 0 {
        tx.wake_after_commit();
    }
    Ok(resumed.rows_affected())
}
