//! Runs of connecting: their progress, and the accounts that they found.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    connections::{Problem, Report},
    ids::{AccountId, JobId, OauthStateId, TenantId},
    providers::{Provider, StoredProvider},
    secrets::SecretLocation,
};

/// A run of connecting.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct AttemptRow {
    pub id: OauthStateId,
    pub tenant_id: TenantId,
    pub provider: StoredProvider,
    pub account_id: Option<AccountId>,
    pub job_id: Option<JobId>,
    /// True if a browser opened the ticket.
    pub is_opened: bool,
    pub used_at: Option<DateTime<Utc>>,
    pub found_at: Option<DateTime<Utc>>,
    pub connected_at: Option<DateTime<Utc>>,
    /// True if the time for the step is over.
    pub is_over: bool,
    pub problem: Option<Problem>,
    pub report: Option<Json<Report>>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// Returns a run.
pub async fn get_attempt(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
) -> Result<Option<AttemptRow>, sqlx::Error> {
    sqlx::query_as!(
        AttemptRow,
        r#"
        select id as "id: OauthStateId", tenant_id as "tenant_id: TenantId", provider as "provider: StoredProvider",
          account_id as "account_id: AccountId", job_id as "job_id: JobId", state_sha256 is not null as "is_opened!",
          used_at, found_at, connected_at, expires_at <= engine_now() as "is_over!",
          problem as "problem: Problem", report as "report: Json<Report>", expires_at, created_at
        from oauth_state
        where tenant_id = $1 and id = $2
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns a run that this browser began without an account here. Needs the system scope.
pub async fn find_attempt_of_browser(
    conn: &mut PgConnection,
    id: OauthStateId,
    browser_sha256: &[u8],
) -> Result<Option<AttemptRow>, sqlx::Error> {
    sqlx::query_as!(
        AttemptRow,
        r#"
        select login.id as "id: OauthStateId", login.tenant_id as "tenant_id: TenantId",
          login.provider as "provider: StoredProvider", login.account_id as "account_id: AccountId",
          login.job_id as "job_id: JobId", login.state_sha256 is not null as "is_opened!",
          login.used_at, login.found_at, login.connected_at, login.expires_at <= engine_now() as "is_over!",
          login.problem as "problem: Problem", login.report as "report: Json<Report>", login.expires_at, login.created_at
        from oauth_state login
        join tenants on tenants.id = login.tenant_id
        where login.id = $1 and login.browser_sha256 = $2 and login.user_id is null and tenants.erasing_at is null
        "#,
        id.0,
        browser_sha256
    )
    .fetch_optional(conn)
    .await
}

/// Notes the job that exchanges the code of a login.
pub async fn set_job(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
    job_id: JobId,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update oauth_state set job_id = $3 where tenant_id = $1 and id = $2", tenant_id.0, id.0, job_id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a run that connected nothing.
pub async fn mark_problem(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
    problem: Problem,
    report: &Report,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update oauth_state set problem = $3, report = $4 where tenant_id = $1 and id = $2 and connected_at is null",
        tenant_id.0,
        id.0,
        problem as Problem,
        Json(report) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a run that connected accounts.
pub async fn mark_connected(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
    report: &Report,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        with chosen as (
          delete from found_accounts where tenant_id = $1 and state_id = $2
        )
        update oauth_state
        set connected_at = engine_stamp(), problem = null, report = $3
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0,
        Json(report) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An account to choose, with its token encrypted.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct NewFound {
    pub id: Uuid,
    pub platform: Provider,
    pub remote_id: String,
    pub name: String,
    pub token_subject_id: Option<String>,
    pub token: Option<String>,
}

/// Keeps accounts until the person has chosen, for `life` at most.
pub async fn keep_found(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
    (report, found): (&Report, &[NewFound]),
    life: Duration,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = found.iter().map(|account| account.id).collect();
    let platforms: Vec<String> = found.iter().map(|account| account.platform.name().to_owned()).collect();
    let remote_ids: Vec<String> = found.iter().map(|account| account.remote_id.clone()).collect();
    let names: Vec<String> = found.iter().map(|account| account.name.clone()).collect();
    let subjects: Vec<Option<String>> = found.iter().map(|account| account.token_subject_id.clone()).collect();
    let tokens: Vec<Option<String>> = found.iter().map(|account| account.token.clone()).collect();
    sqlx::query!(
        "
        with found as (
          insert into found_accounts (id, tenant_id, state_id, platform, remote_id, name, token_subject_id, token)
          select id, $1, $2, platform, remote_id, name, subject_id, token
          from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
            as new (id, platform, remote_id, name, subject_id, token)
        )
        update oauth_state
        set found_at = engine_stamp(), expires_at = engine_stamp() + make_interval(secs => $9), report = $10
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0,
        &ids,
        &platforms,
        &remote_ids,
        &names,
        &subjects as &[Option<String>],
        &tokens as &[Option<String>],
        life.as_secs_f64(),
        Json(report) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An account that a person can choose.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct FoundRow {
    pub id: Uuid,
    pub platform: StoredProvider,
    pub remote_id: String,
    pub name: String,
    pub token_subject_id: Option<String>,
    pub token: Option<String>,
    /// True if the tenant has the account already.
    pub is_connected: bool,
}

impl FoundRow {
    /// Returns the place where the token is stored.
    #[must_use]
    pub fn token_place(tenant_id: TenantId, id: Uuid) -> SecretLocation {
        SecretLocation { table: "found_accounts", column: "token", tenant_id, row_id: id }
    }
}

/// Returns the accounts that a person can choose, by name.
pub async fn list_found(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
) -> Result<Vec<FoundRow>, sqlx::Error> {
    sqlx::query_as!(
        FoundRow,
        r#"
        select found.id, found.platform as "platform: StoredProvider", found.remote_id, found.name,
          found.token_subject_id, found.token,
          exists (
            select from social_accounts account
            where account.tenant_id = $1 and account.platform = found.platform and account.remote_id = found.remote_id
          ) as "is_connected!"
        from found_accounts found
        where found.tenant_id = $1 and found.state_id = $2
        order by lower(found.name), found.id
        limit 5000
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_all(conn)
    .await
}

/// Locks a run in which a person can choose. Returns its provider, and `None` if there is none, or
/// if its time is over.
pub async fn lock_choosing(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
) -> Result<Option<Json<Report>>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select login.report as "report!: Json<Report>"
        from oauth_state login
        join tenants on tenants.id = login.tenant_id
        where login.tenant_id = $1 and login.id = $2 and login.found_at is not null and login.connected_at is null
          and login.problem is null and login.expires_at > engine_now() and tenants.erasing_at is null
        for update of login
        for share of tenants
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// An account that is to be connected again.
#[derive(Debug)]
pub struct Intended {
    /// Its network.
    pub platform: StoredProvider,
    /// The provider's id of it.
    pub remote_id: String,
    /// Its name.
    pub name: String,
    /// The provider's id of the person who connected it.
    pub person_id: String,
}

/// Returns the account that a login is to connect again, if it is for one.
pub async fn find_intended(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
) -> Result<Option<Intended>, sqlx::Error> {
    sqlx::query_as!(
        Intended,
        r#"
        select account.platform as "platform: StoredProvider", account.remote_id, account.name,
          token.subject_id as person_id
        from oauth_state login
        join social_accounts account on account.tenant_id = login.tenant_id and account.id = login.account_id
        join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
        where login.tenant_id = $1 and login.id = $2
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns true if another person connected one of these accounts of a tenant.
pub async fn is_of_other_person(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    person_id: &str,
    (platforms, remote_ids): (&[String], &[String]),
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select
          from social_accounts account
          join unnest($3::text[], $4::text[]) as found (platform, remote_id)
            on found.platform = account.platform and found.remote_id = account.remote_id
          join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.user_token_id
          where account.tenant_id = $1 and token.subject_id <> $2
        ) as "is_other!"
        "#,
        tenant_id.0,
        person_id,
        platforms,
        remote_ids
    )
    .fetch_one(conn)
    .await
}

/// Returns the places in a list of the accounts that other tenants have. Until the transaction ends,
/// no other tenant can connect any of the list.
pub async fn list_connected_elsewhere(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    (platforms, remote_ids): (&[String], &[String]),
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select place - 1 as "place!"
        from (
          select place, is_connected_elsewhere($1, platform, remote_id) as is_elsewhere
          from (
            select * from unnest($2::text[], $3::text[]) with ordinality as found (platform, remote_id, place)
            order by platform, remote_id
          ) found
        ) looked_up
        where is_elsewhere
        "#,
        tenant_id.0,
        platforms,
        remote_ids
    )
    .fetch_all(conn)
    .await
}
