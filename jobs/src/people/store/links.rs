//! Links that are mailed, and the registrations that wait for them.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::UserRow;
use crate::{ids::UserId, people::OperatorRole};

/// The purpose of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Verifies an address.
    VerifyEmail,
    /// Lets the person choose another password.
    ResetPassword,
}

impl Purpose {
    /// The name that is stored and that [`crate::signer::Signer`] signs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

/// The details that wait for a link to be opened.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns are described in the migration that adds them")]
pub struct Registration {
    pub password_hash: Option<String>,
    pub first_name: String,
    pub last_name: String,
    pub organization_name: Option<String>,
}

/// Makes a link that is valid for `life`. Needs the system scope.
pub async fn insert_link(
    conn: &mut PgConnection,
    user_id: UserId,
    purpose: Purpose,
    life: Duration,
    waiting: &Registration,
) -> Result<Uuid, sqlx::Error> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "
        insert into mail_links
          (id, user_id, purpose, expires_at, password_hash, first_name, last_name, organization_name)
        values ($1, $2, $3, engine_stamp() + make_interval(secs => $4), $5, $6, $7, $8)
        ",
        id,
        user_id.0,
        purpose.name(),
        life.as_secs_f64(),
        waiting.password_hash,
        waiting.first_name,
        waiting.last_name,
        waiting.organization_name
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Returns the password hash that waits for a valid link to verify an address. Needs the system
/// scope.
pub async fn get_link_hash(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select password_hash as "password_hash!"
        from mail_links
        where id = $1 and purpose = 'verify_email' and used_at is null and expires_at > engine_now()
          and password_hash is not null
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Returns the person of a link that is still good. Needs the system scope.
pub async fn find_link_owner(
    conn: &mut PgConnection,
    id: Uuid,
    purpose: Purpose,
) -> Result<Option<UserRow>, sqlx::Error> {
    sqlx::query_as!(
        UserRow,
        r#"
        select u.id as "id: UserId", u.email, u.email_canonical as "email_canonical!", u.email_verified_at,
          u.password_hash, u.first_name, u.last_name, u.picture_url,
          u.operator_role as "operator_role: OperatorRole", u.created_at
        from mail_links l
        join users u on u.id = l.user_id
        where l.id = $1 and l.purpose = $2 and l.used_at is null and l.expires_at > engine_now()
        "#,
        id,
        purpose.name()
    )
    .fetch_optional(conn)
    .await
}

/// Uses a link, once. Returns `None` if it is unknown, used or expired. Needs the system scope.
pub async fn use_link(
    conn: &mut PgConnection,
    id: Uuid,
    purpose: Purpose,
) -> Result<Option<(UserId, Registration)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        update mail_links
        set used_at = engine_stamp()
        where id = $1 and purpose = $2 and used_at is null and expires_at > engine_now()
        returning user_id as "user_id: UserId", password_hash, first_name, last_name, organization_name
        "#,
        id,
        purpose.name()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let waiting = Registration {
            password_hash: row.password_hash,
            first_name: row.first_name,
            last_name: row.last_name,
            organization_name: row.organization_name,
        };
        (row.user_id, waiting)
    }))
}

/// Returns the newest registration of a person who is not verified yet, and its link. Needs the
/// system scope.
pub async fn find_registration(
    conn: &mut PgConnection,
    user_id: UserId,
) -> Result<Option<(Uuid, Option<String>)>, sqlx::Error> {
    let row = sqlx::query!(
        "
        select id, password_hash
        from mail_links
        where user_id = $1 and purpose = 'verify_email' and used_at is null and expires_at > engine_now()
        order by created_at desc, id desc
        limit 1
        ",
        user_id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.id, row.password_hash)))
}

/// Deletes all links of a person, and the registrations that wait for them. Needs the system scope.
pub async fn delete_links(conn: &mut PgConnection, user_id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from mail_links where user_id = $1", user_id.0).execute(conn).await?;
    Ok(())
}
