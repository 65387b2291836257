//! The SQL of operators. All of it needs the system scope.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{ids::UserId, people::OperatorRole};

/// An operator.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct OperatorRow {
    pub user_id: UserId,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: OperatorRole,
    /// True until the person has confirmed the address, by choosing a password.
    pub is_pending: bool,
    pub created_at: DateTime<Utc>,
}

/// Lists the operators, the newest first.
pub async fn list_operators(
    conn: &mut PgConnection,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<OperatorRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        OperatorRow,
        r#"
        select id as "user_id: UserId", email, first_name, last_name, operator_role as "role!: OperatorRole",
          email_verified_at is null as "is_pending!", created_at
        from users
        where operator_role is not null and ($1::timestamptz is null or (created_at, id) < ($1, $2::uuid))
        order by created_at desc, id desc
        limit $3
        "#,
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Reads one operator.
pub async fn get_operator(conn: &mut PgConnection, id: UserId) -> Result<Option<OperatorRow>, sqlx::Error> {
    sqlx::query_as!(
        OperatorRow,
        r#"
        select id as "user_id: UserId", email, first_name, last_name, operator_role as "role!: OperatorRole",
          email_verified_at is null as "is_pending!", created_at
        from users
        where id = $1 and operator_role is not null
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Changes a person's role as an operator; `None` ends it.
pub async fn set_operator_role(
    conn: &mut PgConnection,
    id: UserId,
    role: Option<OperatorRole>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update users set operator_role = $2 where id = $1", id.0, role.map(OperatorRole::name))
        .execute(conn)
        .await?;
    Ok(())
}

/// Locks the full operators who can sign in, and returns them.
pub async fn lock_full_operators(conn: &mut PgConnection) -> Result<Vec<UserId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select id as "id: UserId"
        from users
        where operator_role = 'full' and email_verified_at is not null
        order by id
        for update
        "#
    )
    .fetch_all(conn)
    .await
}
