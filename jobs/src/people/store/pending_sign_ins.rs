//! Sign-ins that wait for a code. All of it needs the system scope.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::UserRow;
use crate::{ids::UserId, people::OperatorRole};

/// Inserts a sign-in that waits for `life`.
pub(in crate::people) async fn insert_pending_sign_in(
    conn: &mut PgConnection,
    user_id: UserId,
    life: Duration,
) -> Result<Uuid, sqlx::Error> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "
        insert into pending_sign_ins (id, user_id, expires_at)
        values ($1, $2, engine_stamp() + make_interval(secs => $3))
        ",
        id,
        user_id.0,
        life.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Returns the person of a sign-in that waits.
pub(in crate::people) async fn find_pending_sign_in(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<UserRow>, sqlx::Error> {
    sqlx::query_as!(
        UserRow,
        r#"
        select u.id as "id: UserId", u.email, u.email_canonical as "email_canonical!", u.email_verified_at,
          u.password_hash, u.first_name, u.last_name, u.picture_url,
          u.operator_role as "operator_role: OperatorRole", u.created_at
        from pending_sign_ins p
        join users u on u.id = p.user_id
        where p.id = $1 and p.used_at is null and p.expires_at > engine_now()
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Uses a sign-in, once. Returns false if it was used, or is too old.
pub(in crate::people) async fn use_pending_sign_in(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let used = sqlx::query!(
        "
        update pending_sign_ins
        set used_at = engine_stamp()
        where id = $1 and used_at is null and expires_at > engine_now()
        ",
        id
    )
    .execute(conn)
    .await?;
    Ok(used.rows_affected() > 0)
}
