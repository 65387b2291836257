//! Sessions: somebody who signed in, in one browser or program.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    ids::{SessionId, TenantId, UserId},
    tenants::roles::Role,
};

/// Somebody who is signed in, as the database has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session_id: SessionId,
    /// The person.
    pub user_id: UserId,
    /// The person's address.
    pub email: String,
    /// What the person may do as staff: `read_only` or `full`.
    pub operator_role: Option<String>,
    /// The tenant that the person works in; none if it is in none.
    pub current: Option<TenantId>,
    /// Where the person belongs, in the order of joining.
    pub memberships: Vec<(TenantId, Role)>,
    /// What those tenants pay for.
    pub plans: BTreeMap<TenantId, String>,
}

/// What names a session.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// Its id, from an access token.
    Id(SessionId),
    /// SHA-256 of a browser's cookie.
    Cookie(&'a [u8]),
}

/// A session that has not ended, and the database's time; needs the system scope.
///
/// # Errors
/// The database refused.
pub async fn find(conn: &mut PgConnection, named: Named<'_>) -> Result<Option<(SignedIn, DateTime<Utc>)>, sqlx::Error> {
    let (id, cookie) = match named {
        Named::Id(id) => (Some(id.0), None),
        Named::Cookie(sha256) => (None, Some(sha256)),
    };
    let row = sqlx::query!(
        r#"
        select s.id as "session_id: SessionId", u.id as "user_id: UserId", u.email, u.operator_role,
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
          ) as "plans!: Vec<String>",
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
