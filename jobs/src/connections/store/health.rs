//! The health of connections: checks, deadlines, warnings, and the success of refreshes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::AccountStatus;
use crate::{
    ids::{AccountId, TenantId, TokenId},
    providers::{Inspection, StoredProvider},
};

/// Returns user tokens in use that were not checked for `interval` and have no unfinished
/// `check_token` job, the longest unchecked first.
pub async fn list_unchecked_user_tokens(
    conn: &mut PgConnection,
    interval: Duration,
    limit: i64,
) -> Result<Vec<(TenantId, TokenId)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select token.tenant_id as "tenant_id: TenantId", token.id as "id: TokenId"
        from oauth_tokens token
        where token.kind = 'user' and token.access_token <> '' and token.refresh_token is null
          and coalesce(token.checked_at, '-infinity') <= engine_now() - make_interval(secs => $1)
          and exists (
            select from tenant_active_connections connection
            where connection.tenant_id = token.tenant_id and connection.user_token_id = token.id
          )
          and not exists (
            select from jobs j
            where j.tenant_id = token.tenant_id and j.kind = 'check_token' and j.unique_key = token.id::text
          )
        order by token.checked_at nulls first, token.id
        limit $2
        "#,
        interval.as_secs_f64(),
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.id)).collect())
}

/// A provider's description of a token.
#[derive(Debug)]
pub struct Description {
    expires_at: Option<DateTime<Utc>>,
    data_access_expires_at: Option<DateTime<Utc>>,
    scopes: Vec<String>,
}

impl From<Inspection> for Description {
    fn from(inspection: Inspection) -> Self {
        let Inspection { expires_at, data_access_expires_at, scopes } = inspection;
        Self { expires_at, data_access_expires_at, scopes }
    }
}

/// Records a check of a token, with its description if the provider gave one. A token that was
/// refreshed meanwhile keeps what is known of the new one.
pub async fn mark_checked(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
    refreshed_at: DateTime<Utc>,
    description: Option<&Description>,
) -> Result<(), sqlx::Error> {
    let is_described = description.is_some();
    sqlx::query!(
        "
        update oauth_tokens
        set checked_at = engine_stamp(),
          expires_at = case when $3 then $4 else expires_at end,
          data_access_expires_at = case when $3 then $5 else data_access_expires_at end,
          scopes = case when $3 then $6 else scopes end,
          warned_days = case when $3 and $5 > data_access_expires_at then null else warned_days end
        where tenant_id = $1 and id = $2 and refreshed_at = $7
        ",
        tenant_id.0,
        id.0,
        is_described,
        description.and_then(|description| description.expires_at),
        description.and_then(|description| description.data_access_expires_at),
        description.map_or(&[][..], |description| &description.scopes),
        refreshed_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A connection whose people are to be warned.
#[derive(Debug)]
pub struct Warning {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The person's token.
    pub id: TokenId,
    /// The warning: 14, 7 or 1 days.
    pub days: i16,
}

/// Marks connections in use that end in 14, 7 or 1 days, and whose people were not warned of that.
/// Returns them.
pub async fn mark_warned(conn: &mut PgConnection, limit: i64) -> Result<Vec<Warning>, sqlx::Error> {
    sqlx::query_as!(
        Warning,
        r#"
        with ending as (
          select tenant_id, id,
            case
              when deadline < engine_now() + interval '1 day' then 1
              when deadline < engine_now() + interval '7 days' then 7
              else 14
            end::smallint as days
          from tokens_expiring_soon
          where deadline < engine_now() + interval '14 days'
        ),
        due as (
          select token.tenant_id, token.id, ending.days
          from ending
          join oauth_tokens token on token.tenant_id = ending.tenant_id and token.id = ending.id
          where (token.warned_days is null or token.warned_days > ending.days)
            and exists (
              select from tenant_active_connections connection
              where connection.tenant_id = token.tenant_id and connection.user_token_id = token.id
            )
          order by token.id
          limit $1
          for update of token
        )
        update oauth_tokens token
        set warned_days = due.days
        from due
        where token.tenant_id = due.tenant_id and token.id = due.id
        returning token.tenant_id as "tenant_id: TenantId", token.id as "id: TokenId", due.days as "days!"
        "#,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The health of an account's connection.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct TokenHealth {
    pub account_id: AccountId,
    pub tenant_id: TenantId,
    /// The network of the account.
    pub platform: StoredProvider,
    pub name: String,
    pub account_created_at: DateTime<Utc>,
    /// The provider whose token it is.
    pub provider: StoredProvider,
    pub status: AccountStatus,
    pub status_reason: Option<String>,
    pub subscribe_error: Option<String>,
    pub user_token_id: TokenId,
    pub expires_at: Option<DateTime<Utc>>,
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// The time at which the connection ends unless its person connects again, if that is soon.
    pub deadline: Option<DateTime<Utc>>,
    pub scopes: Vec<String>,
    pub refreshed_at: DateTime<Utc>,
    pub refresh_failed_at: Option<DateTime<Utc>>,
    pub refresh_error: Option<String>,
    pub checked_at: Option<DateTime<Utc>>,
    /// The time from which the token is refreshed; `None` if that needs the person.
    pub next_refresh_at: Option<DateTime<Utc>>,
}

/// A statement on the health of connections. A token is refreshed `$1` days before its end, and not
/// more often than each `$2` seconds.
macro_rules! token_health {
    ($rest:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            TokenHealth,
            r#"
            select account.id as "account_id: AccountId", account.tenant_id as "tenant_id: TenantId",
              account.platform as "platform: StoredProvider", account.name, account.created_at as account_created_at,
              token.provider as "provider: StoredProvider", account.status as "status: AccountStatus",
              account.status_reason, account.subscribe_error, account.user_token_id as "user_token_id: TokenId",
              token.expires_at, token.data_access_expires_at, soon.deadline as "deadline?", token.scopes, token.refreshed_at,
              token.refresh_failed_at, token.refresh_error, token.checked_at,
              case
                when account.status <> 'active' then null
                when token.refresh_token is not null then token.refreshed_at + make_interval(secs => $2)
                else greatest(token.expires_at - make_interval(days => $1), token.refreshed_at + make_interval(secs => $2))
              end as next_refresh_at
            from social_accounts account
            join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
            left join tokens_expiring_soon soon on soon.tenant_id = token.tenant_id and soon.id = token.id
            "# + $rest,
            $($argument),*
        )
    };
}

/// Returns the health of an account's connection, or `None` if there is no such account in this
/// scope. A token is refreshed `threshold_days` before its end, and not more often than each
/// `interval`.
pub async fn get_token_health(
    conn: &mut PgConnection,
    id: AccountId,
    threshold_days: i32,
    interval: Duration,
) -> Result<Option<TokenHealth>, sqlx::Error> {
    token_health!("where account.id = $3", threshold_days, interval.as_secs_f64(), id.0).fetch_optional(conn).await
}

/// Returns the health of a tenant's connections, as [`get_token_health`] does, by a page: accounts
/// that need their person first, then the newest.
pub async fn list_token_health(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    threshold_days: i32,
    interval: Duration,
    (offset, limit): (i64, i64),
) -> Result<Vec<TokenHealth>, sqlx::Error> {
    token_health!(
        "
        where account.tenant_id = $3
        order by account.status <> 'needs_reauth', account.created_at desc, account.id desc
        offset $4
        limit $5
        ",
        threshold_days,
        interval.as_secs_f64(),
        tenant_id.0,
        offset,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The refreshes of the last seven days.
#[derive(Debug, Clone, Copy)]
pub struct RefreshCounts {
    /// Refreshes that brought a token.
    pub succeeded: i64,
    /// All others.
    pub failed: i64,
}

/// Counts the refreshes of the last seven days. Needs the system scope.
pub async fn count_refreshes(conn: &mut PgConnection) -> Result<RefreshCounts, sqlx::Error> {
    sqlx::query_as!(
        RefreshCounts,
        r#"
        select count(*) filter (where outcome = 'refreshed') as "succeeded!",
          count(*) filter (where outcome <> 'refreshed') as "failed!"
        from token_refresh_history
        where created_at > engine_now() - interval '7 days'
        "#
    )
    .fetch_one(conn)
    .await
}
