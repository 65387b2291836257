//! The SQL of second factors. All of it needs the system scope.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::ids::UserId;

/// Stores a secret that is to be confirmed, in place of one that never was. Returns false if the
/// person has a confirmed one.
pub(super) async fn put_unconfirmed(
    conn: &mut PgConnection,
    user_id: UserId,
    sealed: &str,
) -> Result<bool, sqlx::Error> {
    let put = sqlx::query!(
        "
        insert into second_factors as existing (user_id, secret)
        values ($1, $2)
        on conflict (user_id) do update
        set secret = excluded.secret, created_at = engine_stamp()
        where existing.confirmed_at is null
        ",
        user_id.0,
        sealed
    )
    .execute(conn)
    .await?;
    Ok(put.rows_affected() > 0)
}

/// Returns the secret that is to be confirmed.
pub(super) async fn find_unconfirmed(conn: &mut PgConnection, user_id: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select secret from second_factors where user_id = $1 and confirmed_at is null for update",
        user_id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns the secret that is in use.
pub(super) async fn find_confirmed(conn: &mut PgConnection, user_id: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select secret from second_factors where user_id = $1 and confirmed_at is not null", user_id.0)
        .fetch_optional(conn)
        .await
}

/// Returns true if a person has a second factor.
pub(in crate::people) async fn is_confirmed(conn: &mut PgConnection, user_id: UserId) -> Result<bool, sqlx::Error> {
    Ok(find_confirmed(conn, user_id).await?.is_some())
}

/// Puts a second factor into use, by the code of this time step.
pub(super) async fn mark_confirmed(conn: &mut PgConnection, user_id: UserId, step: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update second_factors
        set confirmed_at = engine_stamp(), last_step = $2
        where user_id = $1 and confirmed_at is null
        ",
        user_id.0,
        step
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses the code of a time step. Returns false if it or a later one was used before.
pub(super) async fn use_step(conn: &mut PgConnection, user_id: UserId, step: i64) -> Result<bool, sqlx::Error> {
    let used = sqlx::query!(
        "
        update second_factors
        set last_step = $2
        where user_id = $1 and confirmed_at is not null and last_step < $2
        ",
        user_id.0,
        step
    )
    .execute(conn)
    .await?;
    Ok(used.rows_affected() > 0)
}

/// Replaces a person's recovery codes.
pub(super) async fn put_recovery_codes(
    conn: &mut PgConnection,
    user_id: UserId,
    hashes: &[Vec<u8>],
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from recovery_codes where user_id = $1", user_id.0).execute(&mut *conn).await?;
    sqlx::query!(
        "insert into recovery_codes (user_id, code_sha256) select $1, hash from unnest($2::bytea[]) as hash",
        user_id.0,
        hashes
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses a recovery code. Returns false if the person has no such code, or has used it.
pub(super) async fn use_recovery_code(
    conn: &mut PgConnection,
    user_id: UserId,
    hash: &[u8],
) -> Result<bool, sqlx::Error> {
    let used = sqlx::query!(
        "
        update recovery_codes
        set used_at = engine_stamp()
        where user_id = $1 and code_sha256 = $2 and used_at is null
          and exists (select from second_factors factor where factor.user_id = $1 and factor.confirmed_at is not null)
        ",
        user_id.0,
        hash
    )
    .execute(conn)
    .await?;
    Ok(used.rows_affected() > 0)
}

/// Removes a second factor with its recovery codes. Returns false if there was none in use.
pub(super) async fn delete(conn: &mut PgConnection, user_id: UserId) -> Result<bool, sqlx::Error> {
    let was_confirmed = sqlx::query_scalar!(
        r#"delete from second_factors where user_id = $1 returning confirmed_at is not null as "was_confirmed!""#,
        user_id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(was_confirmed == Some(true))
}

/// A person's second factor, and the need for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The time since when it is in use; `None`: there is none.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// The number of recovery codes that were not used.
    pub recovery_codes_left: i64,
    /// True if the person is an operator, or in a tenant that requires it.
    pub is_required: bool,
}

/// Returns how it stands with a person's second factor.
pub async fn get_standing(conn: &mut PgConnection, user_id: UserId) -> Result<Standing, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"
        select
          (select confirmed_at from second_factors where user_id = $1) as confirmed_at,
          (select count(*) from recovery_codes where user_id = $1 and used_at is null) as "recovery_codes_left!",
          exists (select from users where id = $1 and operator_role is not null)
            or exists (
              select
              from tenant_users member
              join tenant_settings setting on setting.tenant_id = member.tenant_id
              where member.user_id = $1 and setting.requires_second_factor
            ) as "is_required!"
        "#,
        user_id.0
    )
    .fetch_one(conn)
    .await
}
