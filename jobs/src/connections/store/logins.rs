//! Logins to connect an account, from the ticket to the tokens.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Replacement, seconds};
use crate::{
    ids::{OauthStateId, TenantId, UserId},
    providers::{Provider, StoredProvider},
    secrets::SecretLocation,
};

/// Returns the place where a login's code is stored.
#[must_use]
pub fn code_place(tenant_id: TenantId, id: OauthStateId) -> SecretLocation {
    SecretLocation { table: "oauth_state", column: "code", tenant_id, row_id: id.0 }
}

/// Returns the place where the verifier of a login's code is stored.
#[must_use]
pub fn verifier_place(tenant_id: TenantId, id: OauthStateId) -> SecretLocation {
    SecretLocation { table: "oauth_state", column: "verifier", tenant_id, row_id: id.0 }
}

/// Returns the place where the token of a login is stored.
#[must_use]
pub fn user_token_place(tenant_id: TenantId, id: OauthStateId) -> SecretLocation {
    SecretLocation { table: "oauth_state", column: "user_token", tenant_id, row_id: id.0 }
}

/// Returns the place where the refresh token of a login is stored.
#[must_use]
pub fn login_refresh_token_place(tenant_id: TenantId, id: OauthStateId) -> SecretLocation {
    SecretLocation { table: "oauth_state", column: "refresh_token", tenant_id, row_id: id.0 }
}

/// Inserts a login that a ticket opens.
pub async fn insert_state(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    provider: Provider,
    user_id: Option<UserId>,
    ticket_sha256: &[u8],
    life: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into oauth_state (id, tenant_id, provider, user_id, ticket_sha256, expires_at)
        values ($1, $2, $3, $4, $5, engine_stamp() + make_interval(secs => $6))
        ",
        OauthStateId::new().0,
        tenant_id.0,
        provider as Provider,
        user_id.map(|id| id.0),
        ticket_sha256,
        life.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A ticket that can be opened.
#[derive(Debug)]
pub struct Ticket {
    /// The tenant that gets the accounts.
    pub tenant_id: TenantId,
    /// The name of that tenant.
    pub tenant: String,
    /// The provider.
    pub provider: StoredProvider,
    /// The only person who may open it. Anybody may open a ticket that a key asked for.
    pub user_id: Option<UserId>,
}

/// Returns a ticket that can be opened. Needs the system scope.
pub async fn find_ticket(conn: &mut PgConnection, ticket_sha256: &[u8]) -> Result<Option<Ticket>, sqlx::Error> {
    sqlx::query_as!(
        Ticket,
        r#"
        select tenants.id as "tenant_id: TenantId", tenants.name as tenant, login.provider as "provider: StoredProvider",
          login.user_id as "user_id: UserId"
        from oauth_state login
        join tenants on tenants.id = login.tenant_id
        where login.ticket_sha256 = $1 and login.state_sha256 is null and login.expires_at > engine_now()
          and tenants.erasing_at is null
        "#,
        ticket_sha256
    )
    .fetch_optional(conn)
    .await
}

/// Opens a ticket once. Tickets of a tenant that is being erased do not open. Returns the login's
/// provider.
pub async fn mark_opened(
    conn: &mut PgConnection,
    ticket_sha256: &[u8],
    state_sha256: &[u8],
    browser_sha256: &[u8],
) -> Result<Option<StoredProvider>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update oauth_state
        set state_sha256 = $2, browser_sha256 = $3
        where ticket_sha256 = $1 and state_sha256 is null and expires_at > engine_now()
          and exists (select from tenants where tenants.id = oauth_state.tenant_id and tenants.erasing_at is null)
        returning provider as "provider: StoredProvider"
        "#,
        ticket_sha256,
        state_sha256,
        browser_sha256
    )
    .fetch_optional(conn)
    .await
}

/// A state that was used just now.
#[derive(Debug)]
pub struct UsedState {
    /// Its id.
    pub id: OauthStateId,
    /// The tenant of the login.
    pub tenant_id: TenantId,
}

/// Uses a state once, in its browser and at its provider. In another browser it stays unused, so
/// that nobody can spoil a login.
///
/// A concurrent erasure of the tenant waits for the caller's transaction. If it comes first, the
/// state is gone.
pub async fn use_state(
    conn: &mut PgConnection,
    provider: Provider,
    state_sha256: &[u8],
    browser_sha256: &[u8],
) -> Result<Option<UsedState>, sqlx::Error> {
    sqlx::query_as!(
        UsedState,
        r#"
        with found as (
          select login.id
          from oauth_state login
          join tenants on tenants.id = login.tenant_id
          where login.state_sha256 = $1 and login.browser_sha256 = $2 and login.provider = $3
            and tenants.erasing_at is null
          for share of tenants
        )
        update oauth_state
        set used_at = engine_stamp()
        from found
        where oauth_state.id = found.id and used_at is null and expires_at > engine_now()
        returning oauth_state.id as "id: OauthStateId", tenant_id as "tenant_id: TenantId"
        "#,
        state_sha256,
        browser_sha256,
        provider as Provider
    )
    .fetch_optional(conn)
    .await
}

/// Stores a code and its verifier, encrypted, until the code is exchanged.
pub async fn keep_code(
    conn: &mut PgConnection,
    id: OauthStateId,
    code: &str,
    verifier: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update oauth_state set code = $2, verifier = $3 where id = $1", id.0, code, verifier)
        .execute(conn)
        .await?;
    Ok(())
}

/// The secrets of a login, encrypted.
#[derive(Debug)]
pub struct KeptSecrets {
    /// The provider of the login.
    pub provider: StoredProvider,
    /// The code, until it is exchanged.
    pub code: Option<String>,
    /// The verifier of the code, if the provider uses one.
    pub verifier: Option<String>,
    /// The token that the code was exchanged for, until the accounts are connected.
    pub user_token: Option<String>,
    /// The refresh token that goes with it.
    pub refresh_token: Option<String>,
    /// The remaining life of the token, if known.
    pub expires_in_seconds: Option<f64>,
}

/// Returns the secrets of a login.
pub async fn get_secrets(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
) -> Result<Option<KeptSecrets>, sqlx::Error> {
    sqlx::query_as!(
        KeptSecrets,
        r#"
        select provider as "provider: StoredProvider", code, verifier, user_token, refresh_token,
          extract(epoch from token_expires_at - engine_now())::float8 as expires_in_seconds
        from oauth_state
        where tenant_id = $1 and id = $2
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Replaces a code by the token that it was exchanged for.
pub async fn keep_user_token(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: OauthStateId,
    token: &Replacement,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update oauth_state
        set user_token = $3, refresh_token = $4, token_expires_at = engine_stamp() + make_interval(secs => $5),
          code = null, verifier = null
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0,
        token.access_token,
        token.refresh_token,
        token.expires_in.map(seconds)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the secrets of a login.
pub async fn erase_login(conn: &mut PgConnection, tenant_id: TenantId, id: OauthStateId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update oauth_state
        set user_token = null, refresh_token = null, code = null, verifier = null
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the secrets of a failed login. While the tenant is being erased, its token stays, so
/// that it is revoked.
pub async fn give_up_login(conn: &mut PgConnection, tenant_id: TenantId, id: OauthStateId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update oauth_state
        set code = null, verifier = null, refresh_token = null, user_token = case when tenants.erasing_at is not null then user_token end
        from tenants
        where tenants.id = $1 and oauth_state.tenant_id = $1 and oauth_state.id = $2
        ",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes at most `limit` logins that ended a day ago, with all that is stored for them. A login
/// stays while its job has not ended, or while its token is to be revoked because its tenant is
/// being erased. Needs the system scope.
pub async fn prune_logins(conn: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let pruned = sqlx::query!(
        "
        delete from oauth_state
        where id in (
          select login.id
          from oauth_state login
          join tenants tenant on tenant.id = login.tenant_id
          where login.expires_at < engine_now() - interval '1 day'
            and (login.user_token is null or tenant.erasing_at is null)
            and not exists (
              select from jobs j
              where j.tenant_id = login.tenant_id and j.kind = 'exchange_oauth_code' and j.unique_key = login.id::text
            )
          order by login.expires_at
          limit $1
        )
        ",
        limit
    )
    .execute(conn)
    .await?;
    Ok(pruned.rows_affected())
}
