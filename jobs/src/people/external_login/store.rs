//! The SQL of external accounts.

use sqlx::PgConnection;

use crate::{ids::UserId, providers::Provider};

/// Returns the person whose external account this is. Needs the system scope.
pub(super) async fn find_user(
    conn: &mut PgConnection,
    provider: Provider,
    subject: &str,
) -> Result<Option<UserId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select user_id as "user_id: UserId"
        from user_identities
        where provider = $1 and subject = $2
        "#,
        provider.name(),
        subject
    )
    .fetch_optional(conn)
    .await
}

/// Links an external account to a person unless it is linked already. Returns the person it belongs
/// to now. Needs the system scope.
pub(super) async fn ensure(
    conn: &mut PgConnection,
    provider: Provider,
    subject: &str,
    user_id: UserId,
) -> Result<UserId, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        insert into user_identities (provider, subject, user_id)
        values ($1, $2, $3)
        on conflict (provider, subject) do update
        set subject = excluded.subject
        returning user_id as "user_id: UserId"
        "#,
        provider.name(),
        subject,
        user_id.0
    )
    .fetch_one(conn)
    .await
}
