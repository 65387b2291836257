//! The SQL of OAuth states, tokens and accounts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{AccountId, OauthStateId, TenantId, TokenId},
    secrets::Place,
};

/// Where a state's code is stored.
#[must_use]
pub fn code_place(tenant_id: TenantId, id: OauthStateId) -> Place {
    Place { table: "oauth_state", column: "code", tenant_id, row_id: id.0 }
}

/// Where what a code was exchanged for is stored.
#[must_use]
pub fn user_token_place(tenant_id: TenantId, id: OauthStateId) -> Place {
    Place { table: "oauth_state", column: "user_token", tenant_id, row_id: id.0 }
}

/// Where a token is stored.
#[must_use]
pub fn token_place(tenant_id: TenantId, id: TokenId) -> Place {
    Place { table: "oauth_tokens", column: "access_token", tenant_id, row_id: id.0 }
}

/// Inserts a state that a ticket opens.
///
/// # Errors
/// The database refused.
pub async fn insert_state(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    ticket_sha256: &[u8],
    life: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into oauth_state (id, tenant_id, provider, ticket_sha256, expires_at)
        values ($1, $2, 'facebook', $3, engine_stamp() + make_interval(secs => $4))
        ",
        OauthStateId::new().0,
        tenant_id.0,
        ticket_sha256,
        life.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Opens a ticket once.
///
/// # Errors
/// The database refused.
pub async fn mark_opened(
    conn: &mut PgConnection,
    ticket_sha256: &[u8],
    state_sha256: &[u8],
    browser_sha256: &[u8],
) -> Result<bool, sqlx::Error> {
    let opened = sqlx::query!(
        "
        update oauth_state
        set state_sha256 = $2, browser_sha256 = $3
        where ticket_sha256 = $1 and state_sha256 is null and expires_at > engine_now()
        ",
        ticket_sha256,
        state_sha256,
        browser_sha256
    )
    .execute(conn)
    .await?;
    Ok(opened.rows_affected() > 0)
}

/// A state that was used just now.
#[derive(Debug)]
pub struct UsedState {
    /// Its id.
    pub id: OauthStateId,
    /// Whose login it is.
    pub tenant_id: TenantId,
}

/// Uses a state once, in its browser. In another browser it stays unused, so that nobody can spoil a login.
///
/// # Errors
/// The database refused.
pub async fn use_state(
    conn: &mut PgConnection,
    state_sha256: &[u8],
    browser_sha256: &[u8],
) -> Result<Option<UsedState>, sqlx::Error> {
    sqlx::query_as!(
        UsedState,
        r#"
        update oauth_state
        set used_at = engine_stamp()
        where state_sha256 = $1 and browser_sha256 = $2 and used_at is null and expires_at > engine_now()
        returning id as "id: OauthStateId", tenant_id as "tenant_id: TenantId"
        "#,
        state_sha256,
        browser_sha256
    )
    .fetch_optional(conn)
    .await
}

/// Keeps a code, encrypted, until it is exchanged.
///
/// # Errors
/// The database refused.
pub async fn keep_code(conn: &mut PgConnection, id: OauthStateId, code: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update oauth_state set code = $2 where id = $1", id.0, code).execute(conn).await?;
    Ok(())
}

/// What is kept of a login, encrypted.
#[derive(Debug, Default)]
pub struct Login {
    /// The code, until it is exchanged.
    pub code: Option<String>,
    /// What it was exchanged for, until the accounts are connected.
    pub user_token: Option<String>,
}

/// What is kept of a login.
///
/// # Errors
/// The database refused.
pub async fn get_login(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
) -> Result<Option<Login>, sqlx::Error> {
    sqlx::query_as!(
        Login,
        "select code, user_token from oauth_state where tenant_id = $1 and id = $2",
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Puts what a code was exchanged for in its place.
///
/// # Errors
/// The database refused.
pub async fn keep_user_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
    user_token: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update oauth_state set user_token = $3, code = null where tenant_id = $1 and id = $2",
        tenant_id.0,
        id.0,
        user_token
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Erases the secrets of a login.
///
/// # Errors
/// The database refused.
pub async fn erase_login(conn: &mut PgConnection, tenant_id: TenantId, id: OauthStateId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update oauth_state set user_token = null, code = null where tenant_id = $1 and id = $2",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A stored token.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct TokenRow {
    pub id: TokenId,
    pub kind: String,
    pub subject_id: String,
    pub access_token: String,
}

/// One token.
///
/// # Errors
/// The database refused.
pub async fn get_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
) -> Result<Option<TokenRow>, sqlx::Error> {
    sqlx::query_as!(
        TokenRow,
        r#"
        select id as "id: TokenId", kind, subject_id, access_token
        from oauth_tokens
        where tenant_id = $1 and id = $2
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// The id of the token of a subject: the one there is, or a new one to insert under.
///
/// # Errors
/// The database refused.
pub async fn token_id_of(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    kind: &str,
    subjects: &[String],
) -> Result<Vec<TokenId>, sqlx::Error> {
    let known = sqlx::query!(
        r#"
        select subject_id, id as "id: TokenId"
        from oauth_tokens
        where tenant_id = $1 and provider = 'facebook' and kind = $2 and subject_id = any($3)
        "#,
        tenant_id.0,
        kind,
        subjects
    )
    .fetch_all(conn)
    .await?;
    let id_of = |subject: &String| known.iter().find(|row| row.subject_id == *subject).map(|row| row.id);
    Ok(subjects.iter().map(|subject| id_of(subject).unwrap_or_else(TokenId::new)).collect())
}

/// A token to store, encrypted for its id.
#[derive(Debug)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// The person's or Page's id at the provider.
    pub subject_id: String,
    /// The envelope.
    pub access_token: String,
    /// When it ends, if that is known.
    pub expires_in: Option<Duration>,
}

/// Inserts tokens, or puts them in the place of the ones there are.
///
/// # Errors
/// The database refused; a unique violation when another connection of the same subject won a race, which a retry mends.
pub async fn upsert_tokens(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    kind: &str,
    scopes: &[String],
    tokens: &[NewToken],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.id.0).collect();
    let subjects: Vec<String> = tokens.iter().map(|token| token.subject_id.clone()).collect();
    let envelopes: Vec<String> = tokens.iter().map(|token| token.access_token.clone()).collect();
    let lives: Vec<Option<f64>> = tokens.iter().map(|token| token.expires_in.map(|life| life.as_secs_f64())).collect();
    sqlx::query!(
        "
        insert into oauth_tokens (id, tenant_id, provider, kind, subject_id, access_token, scopes, expires_at)
        select id, $1, 'facebook', $2, subject_id, access_token, $3, engine_stamp() + make_interval(secs => life)
        from unnest($4::uuid[], $5::text[], $6::text[], $7::float8[]) as new (id, subject_id, access_token, life)
        on conflict (id) do update set
          access_token = excluded.access_token,
          scopes = excluded.scopes,
          expires_at = excluded.expires_at,
          refreshed_at = engine_stamp()
        ",
        tenant_id.0,
        kind,
        scopes,
        &ids,
        &subjects,
        &envelopes,
        &lives as &[Option<f64>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An account to connect.
#[derive(Debug)]
pub struct NewAccount {
    /// The Page's id.
    pub remote_id: String,
    /// The Page's name.
    pub name: String,
    /// The Page's token.
    pub token_id: TokenId,
}

/// Inserts accounts, or connects the ones there are again; answers their ids.
///
/// # Errors
/// The database refused.
pub async fn upsert_accounts(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    user_token_id: TokenId,
    accounts: &[NewAccount],
) -> Result<Vec<AccountId>, sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|_| AccountId::new().0).collect();
    let remote_ids: Vec<String> = accounts.iter().map(|account| account.remote_id.clone()).collect();
    let names: Vec<String> = accounts.iter().map(|account| account.name.clone()).collect();
    let tokens: Vec<Uuid> = accounts.iter().map(|account| account.token_id.0).collect();
    sqlx::query_scalar!(
        r#"
        insert into social_accounts (id, tenant_id, platform, remote_id, name, status, user_token_id, token_id)
        select id, $1, 'facebook', remote_id, name, 'active', $2, token_id
        from unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[]) as new (id, remote_id, name, token_id)
        on conflict (tenant_id, platform, remote_id) do update set
          name = excluded.name,
          status = 'active',
          status_reason = null,
          user_token_id = excluded.user_token_id,
          token_id = excluded.token_id
        returning id as "id: AccountId"
        "#,
        tenant_id.0,
        user_token_id.0,
        &ids,
        &remote_ids,
        &names,
        &tokens
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
    pub platform: String,
    pub remote_id: String,
    pub name: String,
    pub status: String,
    pub status_reason: Option<String>,
    pub token_id: TokenId,
    pub user_token_id: TokenId,
    pub token_expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// The accounts of a tenant, oldest first. Their tokens' expiry is that of the user's token, which the others depend on.
///
/// # Errors
/// The database refused.
pub async fn list_accounts(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Vec<AccountRow>, sqlx::Error> {
    sqlx::query_as!(
        AccountRow,
        r#"
        select account.id as "id: AccountId", account.tenant_id as "tenant_id: TenantId", account.platform,
          account.remote_id, account.name, account.status, account.status_reason,
          account.token_id as "token_id: TokenId", account.user_token_id as "user_token_id: TokenId",
          token.expires_at as token_expires_at, account.created_at
        from social_accounts account
        join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
        where account.tenant_id = $1
        order by account.created_at, account.id
        limit 1000
        "#,
        tenant_id.0
    )
    .fetch_all(conn)
    .await
}

/// The accounts that depend on a user's token.
///
/// # Errors
/// The database refused.
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

/// Marks accounts that need their user again.
///
/// # Errors
/// The database refused.
pub async fn mark_needs_reauth(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    accounts: &[AccountId],
    reason: &str,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    sqlx::query!(
        "
        update social_accounts
        set status = 'needs_reauth', status_reason = $3
        where tenant_id = $1 and id = any($2)
        ",
        tenant_id.0,
        &ids,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the outcome of a refresh.
///
/// # Errors
/// The database refused.
pub async fn insert_refresh(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    failure: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into token_refresh_history (id, tenant_id, token_id, outcome, message, expires_at)
        select $1, $2, $3, case when $4::text is null then 'refreshed' else 'needs_reauth' end, $4, expires_at
        from oauth_tokens
        where tenant_id = $2 and id = $3
        ",
        Uuid::now_v7(),
        tenant_id.0,
        token_id.0,
        failure
    )
    .execute(conn)
    .await?;
    Ok(())
}
