//! Connected accounts.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::AccountStatus;
use crate::{
    ids::{AccountId, TenantId, TokenId},
    providers::{Provider, StoredProvider},
};

/// An account to connect.
#[derive(Debug)]
pub struct NewAccount {
    /// The provider's id of the account.
    pub remote_id: String,
    /// Its name.
    pub name: String,
    /// The token that opens it.
    pub token_id: TokenId,
}

/// Inserts accounts, or reconnects existing ones. Returns their ids. With `trouble`, they need
/// their user before anything can be published.
pub async fn upsert_accounts(
    conn: &mut PgConnection,
    (tenant_id, provider): (TenantId, Provider),
    user_token_id: TokenId,
    accounts: &[NewAccount],
    trouble: Option<&str>,
) -> Result<Vec<AccountId>, sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|_| AccountId::new().0).collect();
    let remote_ids: Vec<String> = accounts.iter().map(|account| account.remote_id.clone()).collect();
    let names: Vec<String> = accounts.iter().map(|account| account.name.clone()).collect();
    let status = if trouble.is_some() { AccountStatus::NeedsReauth } else { AccountStatus::Active };
    let tokens: Vec<Uuid> = accounts.iter().map(|account| account.token_id.0).collect();
    sqlx::query_scalar!(
        r#"
        insert into social_accounts (id, tenant_id, platform, remote_id, name, status, status_reason, user_token_id, token_id)
        select id, $1, $8, remote_id, name, $9, $7, $2, token_id
        from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[]) as new (id, remote_id, name, token_id)
        on conflict (tenant_id, platform, remote_id) do update set
          name = excluded.name,
          status = excluded.status,
          status_reason = excluded.status_reason,
          user_token_id = excluded.user_token_id,
          token_id = excluded.token_id
        returning id as "id: AccountId"
        "#,
        tenant_id.0,
        user_token_id.0,
        &ids,
        &remote_ids,
        &names,
        &tokens,
        trouble,
        provider as Provider,
        status as AccountStatus
    )
    .fetch_all(conn)
    .await
}

/// A connected account.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct AccountRow {
    pub id: AccountId,
    pub tenant_id: TenantId,
    pub platform: StoredProvider,
    pub remote_id: String,
    pub name: String,
    pub status: AccountStatus,
    pub status_reason: Option<String>,
    pub token_id: TokenId,
    pub user_token_id: TokenId,
    pub token_expires_at: Option<DateTime<Utc>>,
    /// The time at which the connection ends unless its person connects again, if that is soon.
    pub ends_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Returns the accounts of a tenant, oldest first. The expiry is that of the user's token, which
/// the other tokens depend on.
pub async fn list_accounts(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Vec<AccountRow>, sqlx::Error> {
    sqlx::query_as!(
        AccountRow,
        r#"
        select account.id as "id: AccountId", account.tenant_id as "tenant_id: TenantId",
          account.platform as "platform: StoredProvider", account.remote_id, account.name,
          account.status as "status: AccountStatus", account.status_reason,
          account.token_id as "token_id: TokenId", account.user_token_id as "user_token_id: TokenId",
          token.expires_at as token_expires_at, soon.deadline as "ends_at?", account.created_at
        from social_accounts account
        join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
        left join tokens_expiring_soon soon on soon.tenant_id = token.tenant_id and soon.id = token.id
        where account.tenant_id = $1
        order by account.created_at, account.id
        limit 1000
        "#,
        tenant_id.0
    )
    .fetch_all(conn)
    .await
}

/// An account's name.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct AccountName {
    pub id: AccountId,
    pub platform: StoredProvider,
    pub name: String,
    /// The name of its tenant.
    pub tenant: String,
}

/// Returns the names of accounts.
pub async fn account_names(conn: &mut PgConnection, ids: &[AccountId]) -> Result<Vec<AccountName>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        AccountName,
        r#"
        select account.id as "id: AccountId", account.platform as "platform: StoredProvider", account.name,
          tenant.name as tenant
        from social_accounts account
        join tenants tenant on tenant.id = account.tenant_id
        where account.id = any($1)
        "#,
        &ids
    )
    .fetch_all(conn)
    .await
}

/// Returns the ids of the accounts that depend on a user's token.
pub async fn list_account_ids_of_user_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    user_token_id: TokenId,
) -> Result<Vec<AccountId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select id as "id: AccountId"
        from social_accounts
        where tenant_id = $1 and user_token_id = $2
        "#,
        tenant_id.0,
        user_token_id.0
    )
    .fetch_all(conn)
    .await
}

/// Marks accounts as needing their user again. Returns those that did not need it before.
pub async fn mark_needs_reauth(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    accounts: &[AccountId],
    reason: &str,
) -> Result<Vec<AccountId>, sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"
        update social_accounts
        set status = 'needs_reauth', status_reason = $3
        where tenant_id = $1 and id = any($2) and status = 'active'
        returning id as "id: AccountId"
        "#,
        tenant_id.0,
        &ids,
        reason
    )
    .fetch_all(conn)
    .await
}
