//! Encrypted tokens.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{TenantId, TokenId},
    providers::{Provider, StoredProvider},
    secrets::SecretLocation,
};

/// The remaining life of a token that has to be refreshed before it is used.
pub const ENDING: Duration = Duration::from_mins(5);

/// The time after a failed refresh in which nobody tries again.
pub const COOLDOWN: Duration = Duration::from_secs(30);

/// The longest life of a token that is believed: ten years.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 3_650);

/// Returns the life of a token as the database takes it.
pub(super) fn seconds(life: Duration) -> f64 {
    life.min(LONGEST_LIFE).as_secs_f64()
}

/// Returns the place where a token is stored.
#[must_use]
pub fn token_place(tenant_id: TenantId, id: TokenId) -> SecretLocation {
    SecretLocation { table: "oauth_tokens", column: "access_token", tenant_id, row_id: id.0 }
}

/// Returns the place where the refresh token that goes with a token is stored.
#[must_use]
pub fn refresh_token_place(tenant_id: TenantId, id: TokenId) -> SecretLocation {
    SecretLocation { table: "oauth_tokens", column: "refresh_token", tenant_id, row_id: id.0 }
}

/// A stored token.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct TokenRow {
    pub id: TokenId,
    pub provider: StoredProvider,
    pub kind: String,
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub refreshed_at: DateTime<Utc>,
    pub refresh_failed_at: Option<DateTime<Utc>>,
    pub refresh_error: Option<String>,
    /// True if it ends within minutes, or has ended.
    pub is_ending: bool,
    /// True if it has ended.
    pub is_over: bool,
    /// True if a refresh failed within the last seconds.
    pub is_cooling: bool,
}

/// Returns one token, unless it is erased.
pub async fn get_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
) -> Result<Option<TokenRow>, sqlx::Error> {
    sqlx::query_as!(
        TokenRow,
        r#"
        select id as "id: TokenId", provider as "provider: StoredProvider", kind, access_token, refresh_token,
          refreshed_at, refresh_failed_at, refresh_error,
          coalesce(expires_at <= engine_now() + make_interval(secs => $3), false) as "is_ending!",
          coalesce(expires_at <= engine_now(), false) as "is_over!",
          coalesce(refresh_failed_at > engine_now() - make_interval(secs => $4), false) as "is_cooling!"
        from oauth_tokens
        where tenant_id = $1 and id = $2 and access_token <> ''
        "#,
        tenant_id.0,
        id.0,
        ENDING.as_secs_f64(),
        COOLDOWN.as_secs_f64()
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
    /// The encrypted refresh token. Without one, an existing token keeps the one it has.
    pub refresh_token: Option<String>,
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
    let refresh_tokens: Vec<Option<String>> = tokens.iter().map(|token| token.refresh_token.clone()).collect();
    let lives: Vec<Option<f64>> = tokens.iter().map(|token| token.expires_in.map(seconds)).collect();
    sqlx::query!(
        "
        insert into oauth_tokens
          (id, tenant_id, provider, kind, subject_id, access_token, refresh_token, scopes, expires_at)
        select id, $1, $2, $3, subject_id, access_token, refresh_token, $4, engine_stamp() + make_interval(secs => life)
        from unnest($5::uuid[], $6::text[], $7::text[], $8::float8[], $9::text[])
          as new (id, subject_id, access_token, life, refresh_token)
        on conflict (id) do update set
          access_token = excluded.access_token,
          refresh_token = coalesce(excluded.refresh_token, oauth_tokens.refresh_token),
          refresh_claim = null,
          refresh_claimed_until = null,
          refresh_failed_at = null,
          refresh_error = null,
          warned_days = null,
          data_access_expires_at = null,
          checked_at = null,
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
        &lives as &[Option<f64>],
        &refresh_tokens as &[Option<String>]
    )
    .execute(conn)
    .await?;
    Ok(())
}
