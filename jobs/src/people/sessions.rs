//! Sessions: one person signed in, in one browser or program.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{SessionId, TenantId, UserId},
    people::OperatorRole,
    secrets::{fingerprint, random_token},
    tenants::{plans::Plan, roles::Role},
};

/// A signed-in person, as the database has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session_id: SessionId,
    /// The person.
    pub user_id: UserId,
    /// The person's address.
    pub email: String,
    /// The person's role as an operator, if any.
    pub operator_role: Option<OperatorRole>,
    /// The tenant that the person works in; `None` without a membership.
    pub current: Option<TenantId>,
    /// The person's memberships, in the order of joining.
    pub memberships: Vec<(TenantId, Role)>,
    /// The plans of those tenants.
    pub plans: BTreeMap<TenantId, Plan>,
}

/// The identifier by which a session is found.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// The session's id, from an access token.
    Id(SessionId),
    /// The SHA-256 hash of a browser's cookie.
    Cookie(&'a [u8]),
}

/// Returns a session that has not ended, and the database's time. Needs the system scope.
pub async fn find(conn: &mut PgConnection, named: Named<'_>) -> Result<Option<(SignedIn, DateTime<Utc>)>, sqlx::Error> {
    let (id, cookie) = match named {
        Named::Id(id) => (Some(id.0), None),
        Named::Cookie(sha256) => (None, Some(sha256)),
    };
    let row = sqlx::query!(
        r#"
        select s.id as "session_id: SessionId", u.id as "user_id: UserId", u.email,
          u.operator_role as "operator_role: OperatorRole",
          u.current_tenant_id as "current: TenantId",
          array(select tenant_id from tenant_users where user_id = u.id order by created_at, tenant_id)
            as "tenants!: Vec<TenantId>",
          array(select role from tenant_users where user_id = u.id order by created_at, tenant_id)
            as "roles!: Vec<Role>",
          array(
            select plan
            from tenant_users
            join tenants on tenants.id = tenant_id
            where user_id = u.id
            order by tenant_users.created_at, tenant_id
          ) as "plans!: Vec<Plan>",
          engine_now() as "now!"
        from sessions s
        join users u on u.id = s.user_id
        where (s.id = $1 or s.cookie_sha256 = $2)
          and s.revoked_at is null
          and s.expires_at > engine_now()
          and u.email_verified_at is not null
        "#,
        id,
        cookie
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let plans = row.tenants.iter().copied().zip(row.plans).collect();
        let memberships: Vec<(TenantId, Role)> = row.tenants.into_iter().zip(row.roles).collect();
        let is_in = |tenant: &TenantId| memberships.iter().any(|(id, _)| id == tenant);
        let current = row.current.filter(is_in).or_else(|| memberships.first().map(|(id, _)| *id));
        let signed_in = SignedIn {
            session_id: row.session_id,
            user_id: row.user_id,
            email: row.email,
            operator_role: row.operator_role,
            current,
            memberships,
            plans,
        };
        (signed_in, row.now)
    }))
}

/// The time after which an unused session ends, in days.
const LIFE_DAYS: i32 = 30;

/// Begins a session. A program's session has no cookie. Needs the system scope.
pub async fn insert(
    conn: &mut PgConnection,
    user_id: UserId,
    cookie: Option<&str>,
    remote_address: Option<&str>,
) -> Result<SessionId, sqlx::Error> {
    let id = SessionId::new();
    sqlx::query!(
        "
        insert into sessions (id, user_id, cookie_sha256, remote_address, expires_at)
        values ($1, $2, $3, $4, engine_stamp() + make_interval(days => $5))
        ",
        id.0,
        user_id.0,
        cookie.map(fingerprint),
        remote_address,
        LIFE_DAYS
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Makes the next refresh token of a session. Only its hash is stored, so the returned token cannot
/// be read again. Needs the system scope.
pub async fn insert_refresh_token(
    conn: &mut PgConnection,
    session_id: SessionId,
    parent_id: Option<Uuid>,
) -> Result<String, sqlx::Error> {
    let token = random_token();
    sqlx::query!(
        "insert into refresh_tokens (id, session_id, secret_sha256, parent_id) values ($1, $2, $3, $4)",
        Uuid::now_v7(),
        session_id.0,
        fingerprint(&token),
        parent_id
    )
    .execute(conn)
    .await?;
    Ok(token)
}

/// The result of exchanging a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// The token was good. It is used now, and its session lives on.
    Good {
        /// The session.
        session_id: SessionId,
        /// The person of the session.
        user_id: UserId,
        /// The id of the token, the parent of the next one.
        token_id: Uuid,
    },
    /// The token is unknown, or its session has ended.
    Invalid,
    /// The token was exchanged before, so a second party has it. Its session has been ended.
    Stolen {
        /// The person of the session.
        user_id: UserId,
    },
}

/// Exchanges a refresh token. Needs the system scope. The caller commits whatever the result is.
///
/// A token that was exchanged within the last ten seconds is good again, because its response may
/// have been lost; not so if one of those that it was exchanged for was used since. Of them, the
/// first one used goes on. Another one that is used too shows that there are two holders.
pub async fn exchange(conn: &mut PgConnection, token: &str) -> Result<Exchange, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select t.id, t.session_id as "session_id: SessionId", s.user_id as "user_id: UserId",
          not t.superseded and (
            t.used_at is null
            or t.used_at > engine_now() - interval '10 seconds'
              and not exists (select from refresh_tokens next where next.parent_id = t.id and next.used_at is not null)
          ) as "is_good!"
        from refresh_tokens t
        join sessions s on s.id = t.session_id
        where t.secret_sha256 = $1 and s.revoked_at is null and s.expires_at > engine_now()
        for update of s, t
        "#,
        fingerprint(token)
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(Exchange::Invalid);
    };
    if !row.is_good {
        revoke(conn, row.session_id).await?;
        return Ok(Exchange::Stolen { user_id: row.user_id });
    }
    sqlx::query!(
        "
        with used as (
          update refresh_tokens
          set used_at = coalesce(used_at, engine_stamp()), superseded = id <> $1
          where id = $1 or (parent_id = (select parent_id from refresh_tokens where id = $1) and used_at is null)
        )
        update sessions
        set expires_at = engine_stamp() + make_interval(days => $3)
        where id = $2
        ",
        row.id,
        row.session_id.0,
        LIFE_DAYS
    )
    .execute(conn)
    .await?;
    Ok(Exchange::Good { session_id: row.session_id, user_id: row.user_id, token_id: row.id })
}

/// Ends a session. Needs the system scope.
pub async fn revoke(conn: &mut PgConnection, id: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query!("update sessions set revoked_at = coalesce(revoked_at, engine_stamp()) where id = $1", id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends all sessions of a person. Needs the system scope.
pub async fn revoke_all(conn: &mut PgConnection, user_id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sessions set revoked_at = engine_stamp() where user_id = $1 and revoked_at is null",
        user_id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
