//! Parked accounts. Their jobs wait, at no cost.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ledger;
use crate::{
    Parked, Tx,
    ids::{AccountId, TenantId},
};

/// A parked account.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct ParkedRow {
    pub tenant_id: TenantId,
    pub account_id: Uuid,
    pub until: DateTime<Utc>,
    pub reason: Value,
    pub parked_at: DateTime<Utc>,
}

/// Lists the parked accounts of one tenant, or of all tenants, the latest first.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: Option<TenantId>,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<ParkedRow>, sqlx::Error> {
    let (parked_at, account_id) = after.unzip();
    sqlx::query_as!(
        ParkedRow,
        r#"
        select tenant_id as "tenant_id: TenantId", account_id, until, reason, parked_at
        from parked_accounts
        where ($1::uuid is null or tenant_id = $1)
          and ($2::timestamptz is null or (parked_at, account_id) < ($2, $3::uuid))
        order by parked_at desc, account_id desc
        limit $4
        "#,
        tenant_id.map(|id| id.0),
        parked_at,
        account_id,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The result of ending a park.
#[derive(Debug, Clone)]
pub struct Unparked {
    /// The tenant that owns the account.
    pub tenant_id: TenantId,
    /// The reason of the park. Absent if the account was not parked and only jobs waited for it.
    pub reason: Option<Value>,
    /// The number of jobs that were made available.
    pub resumed: u64,
}

/// Ends the park of an account and makes the jobs available that waited for it. Returns `None` if
/// it was not parked and no job waited.
pub async fn release(tx: &mut Tx, account_id: AccountId) -> Result<Option<Unparked>, sqlx::Error> {
    let parked = sqlx::query!(
        r#"
        delete from parked_accounts
        where account_id = $1
        returning tenant_id as "tenant_id: TenantId", reason
        "#,
        account_id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    let (tenant_id, reason) = match parked {
        Some(parked) => (parked.tenant_id, Some(parked.reason)),
        None => match find_waiting(tx, account_id).await? {
            Some(tenant_id) => (tenant_id, None),
            None => return Ok(None),
        },
    };
    let resumed = ledger::resume_accounts(tx, tenant_id, &[account_id]).await?;
    Ok(Some(Unparked { tenant_id, reason, resumed }))
}

async fn find_waiting(tx: &mut Tx, account_id: AccountId) -> Result<Option<TenantId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select tenant_id as "tenant_id: TenantId"
        from jobs
        where state = 'suspended' and suspended_on = $1
        limit 1
        "#,
        Parked::Account(account_id).name()
    )
    .fetch_optional(&mut **tx)
    .await
}
