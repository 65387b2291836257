//! Sessions: one person signed in, in one browser or program.

mod list;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

pub use self::list::{SessionRow, end_all_of, end_one, end_others, list};
use crate::{
    ids::{SessionId, TenantId, UserId},
    people::{OperatorRole, sign_in::ClientOrigin},
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
    /// The person's role as an operator, if any. Without [`SignedIn::is_by_code`] it gives nothing.
    pub operator_role: Option<OperatorRole>,
    /// True if a code of the second factor was given in this session.
    pub is_by_code: bool,
    /// The tenant that the person works in; `None` without a membership.
    pub current: Option<TenantId>,
    /// The memberships that this session may use, in the order of joining.
    pub memberships: Vec<(TenantId, Role)>,
    /// The tenants of the other memberships: they require a second factor.
    pub barred: BTreeSet<TenantId>,
    /// The plans of all those tenants.
    pub plans: BTreeMap<TenantId, Plan>,
    /// True if the use of the session was not noted for a minute: see [`note_use`].
    pub is_use_unnoted: bool,
}

impl SignedIn {
    /// Returns true if a role or a tenant takes a second factor that was not given.
    #[must_use]
    pub fn needs_second_factor(&self) -> bool {
        !self.is_by_code && (self.operator_role.is_some() || !self.barred.is_empty())
    }

    /// Returns true if the session gives access to a tenant.
    #[must_use]
    pub fn sees(&self, tenant_id: TenantId) -> bool {
        match self.operator_role {
            Some(_) => self.is_by_code,
            None => self.memberships.iter().any(|(id, _)| *id == tenant_id),
        }
    }
}

/// The identifier by which a session is found.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// The session's id, from an access token.
    Id(SessionId),
    /// The SHA-256 hash of a browser's cookie.
    Cookie(&'a [u8]),
}

impl<'a> Named<'a> {
    fn parts(self) -> (Option<Uuid>, Option<&'a [u8]>) {
        match self {
            Self::Id(id) => (Some(id.0), None),
            Self::Cookie(sha256) => (None, Some(sha256)),
        }
    }
}

/// Returns a session that has not ended, and the database's time. Needs the system scope.
pub async fn find(conn: &mut PgConnection, named: Named<'_>) -> Result<Option<(SignedIn, DateTime<Utc>)>, sqlx::Error> {
    let (id, cookie) = named.parts();
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
          array(
            select member.tenant_id
            from tenant_users member
            join tenant_settings setting on setting.tenant_id = member.tenant_id
            where member.user_id = u.id and setting.requires_second_factor and s.second_factor_at is null
          ) as "barred!: Vec<TenantId>",
          s.second_factor_at is not null as "is_by_code!",
          coalesce(s.last_used_at < engine_now() - interval '1 minute', true) as "is_use_unnoted!",
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
        let barred: BTreeSet<TenantId> = row.barred.into_iter().collect();
        let current = row.current.filter(|id| row.tenants.contains(id)).or_else(|| row.tenants.first().copied());
        let all = row.tenants.into_iter().zip(row.roles);
        let signed_in = SignedIn {
            session_id: row.session_id,
            user_id: row.user_id,
            email: row.email,
            operator_role: row.operator_role,
            is_by_code: row.is_by_code,
            current,
            memberships: all.filter(|(id, _)| !barred.contains(id)).collect(),
            barred,
            plans,
            is_use_unnoted: row.is_use_unnoted,
        };
        (signed_in, row.now)
    }))
}

/// The time after which an unused session ends, in days.
const LIFE_DAYS: i32 = 30;

/// The time after which a session ends however much it is used, in days.
const LONGEST_LIFE_DAYS: i32 = 90;

/// The longest name of a browser or program that is kept, in characters.
const LONGEST_USER_AGENT: usize = 300;

/// A session that begins.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The person.
    pub user_id: UserId,
    /// The cookie of a browser; `None` for a program.
    pub cookie: Option<&'a str>,
    /// The client.
    pub from: &'a ClientOrigin,
    /// True if a code of the second factor was given.
    pub has_second_factor: bool,
}

/// Begins a session. Needs the system scope.
pub async fn insert(conn: &mut PgConnection, new: &NewSession<'_>) -> Result<SessionId, sqlx::Error> {
    let id = SessionId::new();
    let user_agent =
        new.from.user_agent.as_deref().map(|name| name.chars().take(LONGEST_USER_AGENT).collect::<String>());
    sqlx::query!(
        "
        insert into sessions
          (id, user_id, cookie_sha256, remote_address, user_agent, expires_at, last_used_at, second_factor_at)
        values ($1, $2, $3, $4, $5, engine_stamp() + make_interval(days => $6), engine_stamp(),
          case when $7 then engine_stamp() end)
        ",
        id.0,
        new.user_id.0,
        new.cookie.map(fingerprint),
        new.from.remote_address,
        user_agent,
        LIFE_DAYS,
        new.has_second_factor
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Notes that a session is used now. Needs the system scope.
pub async fn note_use(conn: &mut PgConnection, id: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query!("update sessions set last_used_at = engine_stamp() where id = $1", id.0).execute(conn).await?;
    Ok(())
}

/// Notes in a session that a code of the second factor was given, or that there is none any more.
/// Needs the system scope.
pub(super) async fn mark_second_factor(
    conn: &mut PgConnection,
    id: SessionId,
    was_given: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sessions set second_factor_at = case when $2 then engine_stamp() end where id = $1",
        id.0,
        was_given
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns true if a session that has not ended began within this time. Needs the system scope.
pub(super) async fn is_younger(conn: &mut PgConnection, id: SessionId, age: Duration) -> Result<bool, sqlx::Error> {
    let is_younger = sqlx::query_scalar!(
        r#"
        select created_at > engine_now() - make_interval(secs => $2) as "is_younger!"
        from sessions
        where id = $1 and revoked_at is null
        "#,
        id.0,
        age.as_secs_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(is_younger == Some(true))
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
        set last_used_at = engine_stamp(),
          expires_at = least(engine_stamp() + make_interval(days => $3), created_at + make_interval(days => $4))
        where id = $2
        ",
        row.id,
        row.session_id.0,
        LIFE_DAYS,
        LONGEST_LIFE_DAYS
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

/// Ends all sessions of a person, and the sign-ins that wait for a code. Needs the system scope.
pub async fn revoke_all(conn: &mut PgConnection, user_id: UserId) -> Result<(), sqlx::Error> {
    revoke_but(conn, user_id, None).await
}

/// Ends all sessions of a person but one, and the sign-ins that wait for a code. Needs the system
/// scope.
pub async fn revoke_others(conn: &mut PgConnection, user_id: UserId, kept: SessionId) -> Result<(), sqlx::Error> {
    revoke_but(conn, user_id, Some(kept)).await
}

async fn revoke_but(conn: &mut PgConnection, user_id: UserId, kept: Option<SessionId>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        with waiting as (
          delete from pending_sign_ins where user_id = $1
        )
        update sessions
        set revoked_at = engine_stamp()
        where user_id = $1 and revoked_at is null and id is distinct from $2
        ",
        user_id.0,
        kept.map(|id| id.0)
    )
    .execute(conn)
    .await?;
    Ok(())
}
