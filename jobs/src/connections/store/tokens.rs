//! Encrypted tokens, and their refreshes.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{TenantId, TokenId},
    providers::{Provider, StoredProvider},
    secrets::SecretLocation,
};

/// Returns the place where a token is stored.
#[must_use]
pub fn token_place(tenant_id: TenantId, id: TokenId) -> SecretLocation {
    SecretLocation { table: "oauth_tokens", column: "access_token", tenant_id, row_id: id.0 }
}

/// A stored token.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct TokenRow {
    pub id: TokenId,
    pub provider: StoredProvider,
    pub kind: String,
    pub subject_id: String,
    pub access_token: String,
}

/// Returns one token.
pub async fn get_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
) -> Result<Option<TokenRow>, sqlx::Error> {
    sqlx::query_as!(
        TokenRow,
        r#"
        select id as "id: TokenId", provider as "provider: StoredProvider", kind, subject_id, access_token
        from oauth_tokens
        where tenant_id = $1 and id = $2
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns the token id of a subject: the existing one, or a new one for an insert.
pub async fn token_id_of(
    conn: &mut PgConnection,
    (tenant_id, provider): (TenantId, Provider),
    kind: &str,
    subjects: &[String],
) -> Result<Vec<TokenId>, sqlx::Error> {
    let known = sqlx::query!(
        r#"
        select subject_id, id as "id: TokenId"
        from oauth_tokens
        where tenant_id = $1 and provider = $2 and kind = $3 and subject_id = any($4)
        "#,
        tenant_id.0,
        provider as Provider,
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
    /// The provider's id of the person or the account.
    pub subject_id: String,
    /// The encrypted token.
    pub access_token: String,
    /// The time until it expires, if known.
    pub expires_in: Option<Duration>,
}

/// Inserts tokens, or replaces existing ones.
///
/// # Errors
/// Returns a unique violation if another connection of the same subject won a race. A retry
/// succeeds.
pub async fn upsert_tokens(
    conn: &mut PgConnection,
    (tenant_id, provider): (TenantId, Provider),
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
        select id, $1, $2, $3, subject_id, access_token, $4, engine_stamp() + make_interval(secs => life)
        from unnest($5::uuid[], $6::text[], $7::text[], $8::float8[]) as new (id, subject_id, access_token, life)
        on conflict (id) do update set
          access_token = excluded.access_token,
          scopes = excluded.scopes,
          expires_at = excluded.expires_at,
          refreshed_at = engine_stamp()
        ",
        tenant_id.0,
        provider as Provider,
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

/// Records the outcome of a refresh.
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

/// Returns user tokens that expire within `threshold_days` and were not refreshed for `interval`,
/// those that expire first.
///
/// Each has an account that still works, and no unfinished `refresh_token` job.
pub async fn list_expiring_user_tokens(
    conn: &mut PgConnection,
    threshold_days: i32,
    interval: Duration,
    limit: i64,
) -> Result<Vec<(TenantId, TokenId)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select token.tenant_id as "tenant_id: TenantId", token.id as "id: TokenId"
        from oauth_tokens token
        where token.kind = 'user'
          and token.expires_at < engine_now() + make_interval(days => $1)
          and token.refreshed_at <= engine_now() - make_interval(secs => $2)
          and exists (
            select from social_accounts account
            where account.tenant_id = token.tenant_id and account.user_token_id = token.id and account.status = 'active'
          )
          and not exists (
            select from jobs j
            where j.tenant_id = token.tenant_id and j.kind = 'refresh_token' and j.unique_key = token.id::text
          )
        order by token.expires_at, token.id
        limit $3
        "#,
        threshold_days,
        interval.as_secs_f64(),
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.id)).collect())
}
