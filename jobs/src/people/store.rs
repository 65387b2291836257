//! The SQL of people and of the links that are mailed to them.

mod address_changes;
mod links;
mod operators;
mod pending_sign_ins;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use self::address_changes::Side;
pub(super) use self::address_changes::{
    AddressChange, confirm_address_change, delete_address_change, delete_unverified, put_address_change, set_email,
};
pub use self::links::{
    Purpose, Registration, delete_links, find_link_owner, find_registration, get_link_hash, insert_link, use_link,
};
pub use self::operators::{OperatorRow, get_operator, list_operators, lock_full_operators, set_operator_role};
pub(super) use self::pending_sign_ins::{find_pending_sign_in, insert_pending_sign_in, use_pending_sign_in};
use crate::{
    ids::{TenantId, UserId},
    people::{Address, OperatorRole},
};

/// A person.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct UserRow {
    pub id: UserId,
    pub email: String,
    pub email_canonical: String,
    pub email_verified_at: Option<DateTime<Utc>>,
    pub password_hash: Option<String>,
    pub first_name: String,
    pub last_name: String,
    pub picture_url: Option<String>,
    pub operator_role: Option<OperatorRole>,
    pub created_at: DateTime<Utc>,
}

/// Returns the person who has that address, in any spelling of upper and lower case. Needs the
/// system scope.
pub async fn find_by_email(conn: &mut PgConnection, email: &Address) -> Result<Option<UserRow>, sqlx::Error> {
    sqlx::query_as!(
        UserRow,
        r#"
        select id as "id: UserId", email, email_canonical as "email_canonical!", email_verified_at,
          password_hash, first_name, last_name, picture_url, operator_role as "operator_role: OperatorRole", created_at
        from users
        where email_canonical = $1
        "#,
        email.canonical()
    )
    .fetch_optional(conn)
    .await
}

/// Returns one person. Needs the system scope.
pub async fn get(conn: &mut PgConnection, id: UserId) -> Result<Option<UserRow>, sqlx::Error> {
    sqlx::query_as!(
        UserRow,
        r#"
        select id as "id: UserId", email, email_canonical as "email_canonical!", email_verified_at,
          password_hash, first_name, last_name, picture_url, operator_role as "operator_role: OperatorRole", created_at
        from users
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns the person with that address, verified or not, and inserts one if there is none. Two
/// calls at once make one person. Needs the system scope.
pub async fn ensure(conn: &mut PgConnection, email: &Address) -> Result<UserId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        insert into users (id, email)
        values ($1, $2)
        on conflict (email_canonical) do update
        set email = users.email
        returning id as "id: UserId"
        "#,
        UserId::new().0,
        email.as_str()
    )
    .fetch_one(conn)
    .await
}

/// The names of a verified person.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The first name.
    pub first: &'a str,
    /// The last name; may be empty.
    pub last: &'a str,
}

impl<'a> Names<'a> {
    /// Splits a whole name at its first space.
    #[must_use]
    pub fn of(name: &'a str) -> Self {
        let (first, last) = name.trim().split_once(' ').unwrap_or((name.trim(), ""));
        Self { first, last: last.trim() }
    }
}

/// Marks a person's address as verified, with names and a password (`None`: external account only).
/// Returns true if it was not verified before. Needs the system scope.
pub async fn mark_verified(
    conn: &mut PgConnection,
    id: UserId,
    password_hash: Option<&str>,
    names: Names<'_>,
) -> Result<bool, sqlx::Error> {
    let verified = sqlx::query!(
        "
        update users
        set email_verified_at = engine_stamp(), password_hash = $2, first_name = $3, last_name = $4
        where id = $1 and email_verified_at is null
        ",
        id.0,
        password_hash,
        names.first,
        names.last
    )
    .execute(conn)
    .await?;
    Ok(verified.rows_affected() > 0)
}

/// Changes a password. The address counts as verified, because the person could read the mail with
/// the link. Needs the system scope.
pub async fn set_password(conn: &mut PgConnection, id: UserId, password_hash: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update users
        set password_hash = $2, email_verified_at = coalesce(email_verified_at, engine_stamp())
        where id = $1
        ",
        id.0,
        password_hash
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the hash of the same password, unless another password was chosen in the meantime.
/// Needs the system scope.
pub async fn rehash(conn: &mut PgConnection, id: UserId, old: &str, new: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update users set password_hash = $3 where id = $1 and password_hash = $2", id.0, old, new)
        .execute(conn)
        .await?;
    Ok(())
}

/// Returns true if a person's password still has this hash, and keeps it so until the transaction
/// ends. Needs the system scope.
pub async fn has_password(conn: &mut PgConnection, id: UserId, hash: Option<&str>) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"select password_hash is not distinct from $2 as "is_same!" from users where id = $1 for share"#,
        id.0,
        hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(found == Some(true))
}

/// Locks a person until the transaction ends, against sign-ins too. Needs the system scope.
pub(super) async fn lock(conn: &mut PgConnection, id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!("select from users where id = $1 for update", id.0).fetch_optional(conn).await?;
    Ok(())
}

/// The fields that a person may change about themselves. `None` keeps a value; an empty picture
/// address removes the picture.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct UserPatch {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub picture_url: Option<String>,
}

/// Changes the fields of a patch. Needs the system scope.
pub async fn update(conn: &mut PgConnection, id: UserId, patch: &UserPatch) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update users
        set first_name = coalesce($2, first_name),
          last_name = coalesce($3, last_name),
          picture_url = case when $4::text is null then picture_url else nullif($4, '') end
        where id = $1
        ",
        id.0,
        patch.first_name,
        patch.last_name,
        patch.picture_url
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the tenant that a person switched to. Needs the system scope.
pub async fn switch(conn: &mut PgConnection, id: UserId, tenant_id: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!("update users set current_tenant_id = $2 where id = $1", id.0, tenant_id.0).execute(conn).await?;
    Ok(())
}

/// Makes a person an operator. Needs the system scope.
pub async fn make_operator(
    conn: &mut PgConnection,
    id: UserId,
    role: OperatorRole,
    names: Names<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update users
        set operator_role = $2, first_name = $3, last_name = $4
        where id = $1
        ",
        id.0,
        role.name(),
        names.first,
        names.last
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a person's role as an operator. Returns `None` if no operator has that address. Needs the
/// system scope.
pub async fn end_operator(conn: &mut PgConnection, email: &Address) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update users
        set operator_role = null
        where email_canonical = $1 and operator_role is not null
        returning id as "id: UserId"
        "#,
        email.canonical()
    )
    .fetch_optional(conn)
    .await
}

/// Removes ended sessions, old tokens and links, expired throttles, and addresses that were
/// registered and never verified. Removes at most `limit` rows of each, and returns the total
/// number.
pub async fn prune(conn: &mut PgConnection, limit: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with ended as (
          delete from sessions
          where id in (select id from sessions where expires_at < engine_now() - interval '30 days' limit $1)
          returning 1
        ),
        spent as (
          delete from refresh_tokens
          where id in (select id from refresh_tokens where used_at < engine_now() - interval '30 days' limit $1)
          returning 1
        ),
        links as (
          delete from mail_links
          where id in (select id from mail_links where expires_at < engine_now() - interval '1 day' limit $1)
          returning 1
        ),
        over as (
          delete from throttles
          where key_sha256 in (select key_sha256 from throttles where next_at < engine_now() limit $1)
          returning 1
        ),
        unfinished as (
          delete from pending_sign_ins
          where id in (select id from pending_sign_ins where expires_at < engine_now() - interval '1 day' limit $1)
          returning 1
        ),
        unconfirmed as (
          delete from address_changes
          where id in (select id from address_changes where expires_at < engine_now() - interval '1 day' limit $1)
          returning 1
        ),
        nobody as (
          delete from users
          where id in (
            select id
            from users
            where email_verified_at is null and operator_role is null and created_at < engine_now() - interval '7 days'
              and not exists (select from mail_links where mail_links.user_id = users.id)
              and not exists (select from tenant_users where tenant_users.user_id = users.id)
            limit $1
          )
          returning 1
        )
        select (select count(*) from ended) + (select count(*) from spent) + (select count(*) from links)
          + (select count(*) from over) + (select count(*) from unfinished) + (select count(*) from unconfirmed)
          + (select count(*) from nobody) as "pruned!"
        "#,
        limit
    )
    .fetch_one(conn)
    .await
}

/// Removes a person with sessions, links and memberships. Needs the system scope.
pub async fn delete(conn: &mut PgConnection, id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from users where id = $1", id.0).execute(conn).await?;
    Ok(())
}
