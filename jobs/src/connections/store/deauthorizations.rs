//! People who removed our app at a provider.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{AccountId, TenantId, TokenId},
    providers::{Provider, Report, StoredProvider},
};

/// Inserts a report, and returns its id with true, or the id of the same report from before. Needs
/// the system scope.
pub async fn insert_deauthorization(
    conn: &mut PgConnection,
    provider: Provider,
    report: &Report,
    request_sha256: &[u8],
    erases_data: bool,
) -> Result<(Uuid, bool), sqlx::Error> {
    let row = sqlx::query!(
        r#"
        insert into deauthorizations as known (id, provider, subject_id, request_sha256, erases_data, issued_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (request_sha256) do update set erases_data = known.erases_data
        returning id, id = $1 as "is_new!"
        "#,
        Uuid::now_v7(),
        provider as Provider,
        report.subject_id,
        request_sha256,
        erases_data,
        report.issued_at
    )
    .fetch_one(conn)
    .await?;
    Ok((row.id, row.is_new))
}

/// A report, and what was done about it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct DeauthorizationRow {
    pub id: Uuid,
    pub provider: StoredProvider,
    pub subject_id: Option<String>,
    pub erases_data: bool,
    pub issued_at: DateTime<Utc>,
    pub tokens_erased: i32,
    pub accounts_ended: i32,
    pub ended_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Returns a report. Needs the system scope.
pub async fn get_deauthorization(conn: &mut PgConnection, id: Uuid) -> Result<Option<DeauthorizationRow>, sqlx::Error> {
    sqlx::query_as!(
        DeauthorizationRow,
        r#"
        select id, provider as "provider: StoredProvider", subject_id, erases_data, issued_at, tokens_erased,
          accounts_ended, ended_at, created_at
        from deauthorizations
        where id = $1
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Adds to what was done about a report.
pub async fn add_to_deauthorization(
    conn: &mut PgConnection,
    id: Uuid,
    tokens: u64,
    accounts: usize,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update deauthorizations
        set tokens_erased = tokens_erased + $2, accounts_ended = accounts_ended + $3
        where id = $1
        ",
        id,
        i32::try_from(tokens).unwrap_or(i32::MAX),
        i32::try_from(accounts).unwrap_or(i32::MAX)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks a report as done, and erases the id of its person.
pub async fn mark_deauthorized(conn: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update deauthorizations
        set subject_id = null, ended_at = coalesce(ended_at, engine_stamp())
        where id = $1
        ",
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The connection of a person who removed our app.
#[derive(Debug, Clone, Copy)]
pub struct EndedGrant {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The person's token.
    pub token_id: TokenId,
}

/// Returns connections of a person that were not made after a report was issued, except of tenants
/// that are being erased. Tokens that are erased count only if the person's data is erased too.
/// Needs the system scope.
pub async fn list_ended_grants(
    conn: &mut PgConnection,
    row: &DeauthorizationRow,
    subject_id: &str,
    limit: i64,
) -> Result<Vec<EndedGrant>, sqlx::Error> {
    sqlx::query_as!(
        EndedGrant,
        r#"
        select token.tenant_id as "tenant_id: TenantId", token.id as "token_id: TokenId"
        from oauth_tokens token
        join tenants tenant on tenant.id = token.tenant_id
        where token.provider = $1 and token.kind = 'user' and token.subject_id = $2 and tenant.erasing_at is null
          and (token.access_token <> '' or $3)
          -- The provider's clock may be behind ours.
          and (token.access_token = '' or token.refreshed_at <= $4::timestamptz + interval '1 minute')
        order by token.tenant_id
        limit $5
        "#,
        row.provider.0,
        subject_id,
        row.erases_data,
        row.issued_at,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Returns the accounts that depend on a person's token, each with its own token.
pub async fn list_accounts_of_grant(
    conn: &mut PgConnection,
    EndedGrant { tenant_id, token_id }: EndedGrant,
) -> Result<Vec<(AccountId, TokenId)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id as "id: AccountId", token_id as "token_id: TokenId"
        from social_accounts
        where tenant_id = $1 and user_token_id = $2
        "#,
        tenant_id.0,
        token_id.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.token_id)).collect())
}

/// Deletes the tokens of a person that are still to be revoked: the person removed our app.
pub async fn delete_revocations_of(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    row: &DeauthorizationRow,
    subject_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from revocations where tenant_id = $1 and provider = $2 and subject_id = $3 and created_at <= $4",
        tenant_id.0,
        row.provider.0,
        subject_id,
        row.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Erases the provider's id of a person from a token, which is erased already.
pub async fn erase_person(
    conn: &mut PgConnection,
    EndedGrant { tenant_id, token_id }: EndedGrant,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update oauth_tokens
        set subject_id = 'erased:' || id
        where tenant_id = $1 and id = $2 and access_token = ''
        ",
        tenant_id.0,
        token_id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes at most `limit` reports that were done a year ago. Needs the system scope.
pub async fn prune_deauthorizations(conn: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let pruned = sqlx::query!(
        "
        delete from deauthorizations
        where id in (
          select id
          from deauthorizations
          where created_at < engine_now() - interval '365 days' and ended_at is not null
          order by created_at
          limit $1
        )
        ",
        limit
    )
    .execute(conn)
    .await?;
    Ok(pruned.rows_affected())
}
