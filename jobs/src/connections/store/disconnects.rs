//! The end of connections: disconnected accounts, erased tokens, and tokens that are still to be
//! revoked.

use sqlx::PgConnection;
use uuid::Uuid;

use super::AccountStatus;
use crate::{
    ids::{AccountId, TenantId, TokenId},
    providers::{Provider, StoredProvider},
    secrets::SecretLocation,
};

/// Returns the place where a token that is to be revoked is stored.
#[must_use]
pub fn revocation_place(tenant_id: TenantId, id: Uuid) -> SecretLocation {
    SecretLocation { table: "revocations", column: "access_token", tenant_id, row_id: id }
}

/// An account that is to be disconnected, with the token of its person.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct Leaving {
    pub id: AccountId,
    pub tenant_id: TenantId,
    pub platform: StoredProvider,
    pub status: AccountStatus,
    pub token_id: TokenId,
    pub user_token_id: TokenId,
    pub user_provider: StoredProvider,
    /// The provider's id of the person.
    pub subject_id: String,
    /// The person's token, or an empty text if it is erased.
    pub user_access_token: String,
}

/// Locks an account and its tokens, or returns `None` if there is no such account in this scope.
///
/// The tokens come first, as in a refresh that ends.
pub async fn lock_account(conn: &mut PgConnection, id: AccountId) -> Result<Option<Leaving>, sqlx::Error> {
    sqlx::query!(
        "
        select token.id
        from social_accounts account
        join oauth_tokens token
          on token.tenant_id = account.tenant_id and token.id in (account.user_token_id, account.token_id)
        where account.id = $1
        order by token.id
        for update of token
        ",
        id.0
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query_as!(
        Leaving,
        r#"
        select account.id as "id: AccountId", account.tenant_id as "tenant_id: TenantId",
          account.platform as "platform: StoredProvider", account.status as "status: AccountStatus",
          account.token_id as "token_id: TokenId", account.user_token_id as "user_token_id: TokenId",
          token.provider as "user_provider: StoredProvider", token.subject_id,
          token.access_token as user_access_token
        from social_accounts account
        join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
        where account.id = $1
        for update of account
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Marks accounts as disconnected.
pub async fn mark_disconnected(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    accounts: &[AccountId],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    sqlx::query!(
        "
        update social_accounts
        set status = 'disconnected', status_reason = null
        where tenant_id = $1 and id = any($2)
        ",
        tenant_id.0,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns true if an account is disconnected.
pub async fn is_disconnected(conn: &mut PgConnection, tenant_id: TenantId, id: AccountId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from social_accounts where tenant_id = $1 and id = $2 and status = 'disconnected'
        ) as "is_disconnected!"
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_one(conn)
    .await
}

/// Returns those of the tokens that an account which is not disconnected depends on.
pub async fn list_used_tokens(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    ids: &[TokenId],
) -> Result<Vec<TokenId>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"
        select token.id as "id!: TokenId"
        from unnest($2::uuid[]) as token (id)
        where exists (
          select from social_accounts account
          where account.tenant_id = $1 and token.id in (account.user_token_id, account.token_id)
            and account.status <> 'disconnected'
        )
        "#,
        tenant_id.0,
        &ids
    )
    .fetch_all(conn)
    .await
}

/// Locks the accounts that are known by these ids at a provider, and returns those of the ids that
/// belong to disconnected ones.
pub async fn lock_disconnected(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    provider: Provider,
    remote_ids: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    let known = sqlx::query!(
        r#"
        select remote_id, status as "status: AccountStatus"
        from social_accounts
        where tenant_id = $1 and platform = $2 and remote_id = any($3)
        order by id
        for update
        "#,
        tenant_id.0,
        provider as Provider,
        remote_ids
    )
    .fetch_all(conn)
    .await?;
    let is_disconnected = |status| status == AccountStatus::Disconnected;
    Ok(known.into_iter().filter(|row| is_disconnected(row.status)).map(|row| row.remote_id).collect())
}

/// Erases tokens. A refresh of one that is under way finds its claim gone, and stores nothing.
/// Returns the number of tokens that were not erased before.
pub async fn erase_tokens(conn: &mut PgConnection, tenant_id: TenantId, ids: &[TokenId]) -> Result<u64, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let erased = sqlx::query!(
        "
        update oauth_tokens
        set access_token = '', refresh_token = null, scopes = '{}', expires_at = null, data_access_expires_at = null,
          refresh_claim = null, refresh_claimed_until = null, refresh_failed_at = null, refresh_error = null
        where tenant_id = $1 and id = any($2) and access_token <> ''
        ",
        tenant_id.0,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(erased.rows_affected())
}

/// Stores a person's token, encrypted, until it is revoked.
pub async fn insert_revocation(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
    account: &Leaving,
    access_token: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into revocations (id, tenant_id, provider, subject_id, access_token)
        values ($1, $2, $3, $4, $5)
        ",
        id,
        tenant_id.0,
        account.user_provider.0,
        account.subject_id,
        access_token
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A token that is to be revoked.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct RevocationRow {
    pub id: Uuid,
    pub provider: StoredProvider,
    pub subject_id: String,
    pub access_token: String,
}

/// Returns a token that is to be revoked.
pub async fn get_revocation(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
) -> Result<Option<RevocationRow>, sqlx::Error> {
    sqlx::query_as!(
        RevocationRow,
        r#"
        select id, provider as "provider: StoredProvider", subject_id, access_token
        from revocations
        where tenant_id = $1 and id = $2
        "#,
        tenant_id.0,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Returns a tenant's tokens that are to be revoked, in the order of their ids.
pub async fn list_revocations(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<RevocationRow>, sqlx::Error> {
    sqlx::query_as!(
        RevocationRow,
        r#"
        select id, provider as "provider: StoredProvider", subject_id, access_token
        from revocations
        where tenant_id = $1 and ($2::uuid is null or id > $2)
        order by id
        limit $3
        "#,
        tenant_id.0,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Deletes a token that is revoked, or that is given up. Returns its provider if there was one.
pub async fn delete_revocation(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
) -> Result<Option<StoredProvider>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        delete from revocations
        where tenant_id = $1 and id = $2
        returning provider as "provider: StoredProvider"
        "#,
        tenant_id.0,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Records on a disconnected account what is left for its person to do.
pub async fn set_left_to_do(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: AccountId,
    words: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update social_accounts set status_reason = $3 where tenant_id = $1 and id = $2 and status = 'disconnected'",
        tenant_id.0,
        id.0,
        words
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns true if a person has a connection in any tenant. Needs the system scope.
pub async fn is_person_connected(
    conn: &mut PgConnection,
    provider: Provider,
    subject_id: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from oauth_tokens
          where provider = $1 and kind = 'user' and subject_id = $2 and access_token <> ''
        ) as "is_connected!"
        "#,
        provider as Provider,
        subject_id
    )
    .fetch_one(conn)
    .await
}
