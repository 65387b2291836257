//! Invitations to join a tenant.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{inviter::Inviter, roles::Role};
use crate::{ids::TenantId, people::Address};

/// The purpose of the code in an invitation's link: see [`crate::signer::Signer`].
pub const PURPOSE: &str = "invitation";

/// The lifetime of an invitation, in days.
const LIFE_DAYS: i32 = 7;

/// An invitation.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct InvitationRow {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub email: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Invites an address. An address that is invited already gets a new invitation, so that only the
/// last link counts.
pub async fn insert(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    email: &Address,
    role: Role,
    inviter: Inviter,
) -> Result<InvitationRow, sqlx::Error> {
    sqlx::query!(
        "
        update invitations
        set revoked_at = engine_stamp()
        where tenant_id = $1 and email_canonical = $2 and accepted_at is null and revoked_at is null
        ",
        tenant_id.0,
        email.canonical()
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_as!(
        InvitationRow,
        r#"
        insert into invitations (id, tenant_id, email, role, invited_by, invited_by_key, expires_at)
        values ($1, $2, $3, $4, $5, $6, engine_stamp() + make_interval(days => $7))
        returning id, tenant_id as "tenant_id: TenantId", email, role as "role: Role", created_at, expires_at, accepted_at,
          revoked_at
        "#,
        Uuid::now_v7(),
        tenant_id.0,
        email.as_str(),
        role.name(),
        inviter.person(),
        inviter.key(),
        LIFE_DAYS
    )
    .fetch_one(conn)
    .await
}

/// Returns a tenant's invitations, newest first, including expired ones.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<InvitationRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        InvitationRow,
        r#"
        select id, tenant_id as "tenant_id: TenantId", email, role as "role: Role", created_at, expires_at, accepted_at,
          revoked_at
        from invitations
        where tenant_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3))
        order by created_at desc, id desc
        limit $4
        "#,
        tenant_id.0,
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Withdraws an invitation. Returns `None` if the tenant has no such invitation. One that was
/// accepted or has expired stays as it is.
pub async fn revoke(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
) -> Result<Option<InvitationRow>, sqlx::Error> {
    sqlx::query_as!(
        InvitationRow,
        r#"
        update invitations
        set revoked_at = case when accepted_at is null then coalesce(revoked_at, engine_stamp()) end
        where tenant_id = $1 and id = $2
        returning id, tenant_id as "tenant_id: TenantId", email, role as "role: Role", created_at, expires_at, accepted_at,
          revoked_at
        "#,
        tenant_id.0,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Returns an invitation that can be accepted, and locks it. Needs the system scope.
pub async fn find_open(conn: &mut PgConnection, id: Uuid) -> Result<Option<InvitationRow>, sqlx::Error> {
    sqlx::query_as!(
        InvitationRow,
        r#"
        select id, tenant_id as "tenant_id: TenantId", email, role as "role: Role", created_at, expires_at, accepted_at,
          revoked_at
        from invitations
        where id = $1 and accepted_at is null and revoked_at is null and expires_at > engine_now()
        for update
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Returns true if a tenant invites that address. Needs the system scope.
pub async fn is_invited(conn: &mut PgConnection, email: &Address) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from invitations
          where email_canonical = $1 and accepted_at is null and revoked_at is null and expires_at > engine_now()
        ) as "is_invited!"
        "#,
        email.canonical()
    )
    .fetch_one(conn)
    .await
}

/// Marks an invitation as accepted.
pub async fn mark_accepted(conn: &mut PgConnection, tenant_id: TenantId, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update invitations set accepted_at = engine_stamp() where tenant_id = $1 and id = $2",
        tenant_id.0,
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}
