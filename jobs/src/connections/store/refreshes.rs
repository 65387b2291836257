//! Refreshes of tokens: the ones that are due, the ones under way, and their outcomes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{TokenRow, login_refresh_token_place, seconds, user_token_place};
use crate::{
    ids::{JobId, OauthStateId, TenantId, TokenId},
    providers::{Provider, Token},
    secrets::Keyring,
};

/// The outcome of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RefreshOutcome {
    /// A new token is stored.
    Refreshed,
    /// The grant is dead.
    NeedsReauth,
    /// It may succeed later.
    Failed,
    /// The provider refused our app.
    Misconfigured,
    /// Its process died before it recorded the reply.
    Interrupted,
}

/// A token that is to be refreshed.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct DueToken {
    pub tenant_id: TenantId,
    pub id: TokenId,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Returns user tokens that are to be refreshed and were not for `interval`, those that expire
/// first.
///
/// A token that is itself exchanged is due within `threshold_days` of its end. A refresh token is
/// used once an `interval`, so that it does not die of disuse. Each token has an account that still
/// works, and no unfinished `refresh_token` job.
pub async fn list_due_user_tokens(
    conn: &mut PgConnection,
    threshold_days: i32,
    interval: Duration,
    limit: i64,
) -> Result<Vec<DueToken>, sqlx::Error> {
    sqlx::query_as!(
        DueToken,
        r#"
        select token.tenant_id as "tenant_id: TenantId", token.id as "id: TokenId", token.expires_at
        from oauth_tokens token
        where token.kind = 'user' and token.access_token <> ''
          and (token.refresh_token is not null or token.expires_at < engine_now() + make_interval(days => $1))
          and token.refreshed_at <= engine_now() - make_interval(secs => $2)
          and exists (
            select from tenant_active_connections connection
            where connection.tenant_id = token.tenant_id and connection.user_token_id = token.id
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
    .await
}

/// Returns true if a token was refreshed after a job was enqueued.
pub async fn is_refreshed_since(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
    job_id: JobId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select
          from oauth_tokens token
          join jobs job on job.tenant_id = $1 and job.id = $3
          where token.tenant_id = $1 and token.id = $2 and token.refreshed_at >= job.created_at
        ) as "is_refreshed!"
        "#,
        tenant_id.0,
        id.0,
        job_id.0
    )
    .fetch_one(conn)
    .await
}

/// Claims the refresh of a token that is still as it was seen, for this long. Returns `None` if it
/// changed or if somebody else has the claim. Returns true if the last refresh was interrupted.
pub async fn claim_refresh(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    seen: &TokenRow,
    claim: Uuid,
    time: Duration,
) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with free as (
          select id, refresh_claim is not null as was_interrupted
          from oauth_tokens
          where tenant_id = $1 and id = $2 and refreshed_at = $3 and refresh_failed_at is not distinct from $4
            and (refresh_claimed_until is null or refresh_claimed_until <= clock_timestamp())
          for update
        )
        update oauth_tokens token
        set refresh_claim = $5, refresh_claimed_until = clock_timestamp() + make_interval(secs => $6)
        from free
        where token.tenant_id = $1 and token.id = free.id
        returning free.was_interrupted as "was_interrupted!"
        "#,
        tenant_id.0,
        seen.id.0,
        seen.refreshed_at,
        seen.refresh_failed_at,
        claim,
        time.as_secs_f64()
    )
    .fetch_optional(conn)
    .await
}

/// Takes one of a provider's slots for a refresh. Returns false if `at_once` are taken.
pub async fn take_slot(
    conn: &mut PgConnection,
    provider: Provider,
    claim: Uuid,
    time: Duration,
    at_once: i32,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select take_refresh_slot($1, $2, $3, $4) as "is_taken!""#,
        provider.name(),
        claim,
        time.as_secs_f64(),
        at_once
    )
    .fetch_one(conn)
    .await
}

/// Frees the slot of a refresh.
pub async fn free_slot(conn: &mut PgConnection, provider: Provider, claim: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("select free_refresh_slot($1, $2)", provider.name(), claim).fetch_one(conn).await?;
    Ok(())
}

/// Tokens that replace those of a row, encrypted.
#[derive(Debug)]
pub struct Replacement {
    /// The access token.
    pub access_token: String,
    /// The refresh token. Without one, the row keeps the one it has.
    pub refresh_token: Option<String>,
    /// The time until the access token expires, if known.
    pub expires_in: Option<Duration>,
}

impl Replacement {
    /// Returns a token encrypted for the place where a login keeps it.
    #[must_use]
    pub fn of_login(keyring: &Keyring, (tenant_id, id): (TenantId, OauthStateId), token: &Token) -> Self {
        let refresh_place = login_refresh_token_place(tenant_id, id);
        Self {
            access_token: keyring.encrypt(user_token_place(tenant_id, id), &token.secret),
            refresh_token: token.refresh.as_ref().map(|token| keyring.encrypt(refresh_place, token)),
            expires_in: token.expires_in,
        }
    }
}

/// Stores the tokens of a refresh and ends its claim. Returns false if the claim is another one's
/// by now.
pub async fn keep_refreshed(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
    claim: Uuid,
    tokens: &Replacement,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        "
        update oauth_tokens
        set access_token = $4, refresh_token = coalesce($5, refresh_token),
          expires_at = engine_stamp() + make_interval(secs => $6), refreshed_at = engine_stamp(),
          refresh_claim = null, refresh_claimed_until = null, refresh_failed_at = null, refresh_error = null,
          warned_days = case when data_access_expires_at < engine_now() + interval '14 days' then warned_days end
        where tenant_id = $1 and id = $2 and refresh_claim = $3
        ",
        tenant_id.0,
        id.0,
        claim,
        tokens.access_token,
        tokens.refresh_token,
        tokens.expires_in.map(seconds)
    )
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Stores the failure of a refresh and ends its claim. The tokens stay as they are. Returns false
/// if the claim is another one's by now.
pub async fn keep_failure(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
    claim: Uuid,
    message: &str,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        "
        update oauth_tokens
        set refresh_claim = null, refresh_claimed_until = null, refresh_failed_at = engine_stamp(), refresh_error = $4
        where tenant_id = $1 and id = $2 and refresh_claim = $3
        ",
        tenant_id.0,
        id.0,
        claim,
        message
    )
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Records the outcome of a refresh.
pub async fn insert_refresh(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    outcome: RefreshOutcome,
    message: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into token_refresh_history (id, tenant_id, token_id, outcome, message, expires_at)
        select $1, $2, $3, $4, $5, expires_at
        from oauth_tokens
        where tenant_id = $2 and id = $3
        ",
        Uuid::now_v7(),
        tenant_id.0,
        token_id.0,
        outcome as RefreshOutcome,
        message
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes at most `limit` outcomes that are older than `days`. Needs the system scope.
pub async fn prune_refreshes(conn: &mut PgConnection, days: i32, limit: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        delete from token_refresh_history
        where id in (
          select id
          from token_refresh_history
          where created_at < engine_now() - make_interval(days => $1)
          order by created_at
          limit $2
        )
        ",
        days,
        limit
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the permissions that a person granted.
pub async fn set_scopes(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
    scopes: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!("update oauth_tokens set scopes = $3 where tenant_id = $1 and id = $2", tenant_id.0, id.0, scopes)
        .execute(conn)
        .await?;
    Ok(())
}
