//! Sessions as their owner sees and ends them. All of it needs the system scope.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::{SessionId, TenantId, UserId},
    people::store,
    secrets::Keyring,
};

/// The maximum number of sessions in a list.
const MOST: i64 = 200;

/// A session that has not ended.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct SessionRow {
    pub id: SessionId,
    /// True for a browser, false for a program.
    pub is_browser: bool,
    pub user_agent: Option<String>,
    pub remote_address: Option<String>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
}

/// Returns a person's sessions, those used last first.
pub async fn list(conn: &mut PgConnection, user_id: UserId) -> Result<Vec<SessionRow>, sqlx::Error> {
    sqlx::query_as!(
        SessionRow,
        r#"
        select id as "id: SessionId", cookie_sha256 is not null as "is_browser!", user_agent, remote_address,
          created_at, last_used_at, expires_at
        from sessions
        where user_id = $1 and revoked_at is null and expires_at > engine_now()
        order by coalesce(last_used_at, created_at) desc, id
        limit $2
        "#,
        user_id.0,
        MOST
    )
    .fetch_all(conn)
    .await
}

/// Ends one of a person's sessions. Returns false if the person has no such session.
async fn revoke_one(conn: &mut PgConnection, user_id: UserId, id: SessionId) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query!(
        "
        update sessions
        set revoked_at = engine_stamp()
        where id = $2 and user_id = $1 and revoked_at is null and expires_at > engine_now()
        ",
        user_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// Ends one of a person's sessions on their wish. Returns false if the person has no such session.
pub async fn end_one(
    tx: &mut Tx,
    keyring: &Keyring,
    actor: &Actor,
    user_id: UserId,
    id: SessionId,
) -> Result<bool, sqlx::Error> {
    if !revoke_one(tx, user_id, id).await? {
        return Ok(false);
    }
    let entry = Entry::new(TenantId::SYSTEM, "user.end_session", "user", user_id, json!({ "session_id": id }));
    audit::append(tx, keyring, actor, &[entry]).await?;
    Ok(true)
}

/// Ends all sessions of a person but one, on their wish.
pub async fn end_others(
    tx: &mut Tx,
    keyring: &Keyring,
    actor: &Actor,
    user_id: UserId,
    kept: SessionId,
) -> Result<(), sqlx::Error> {
    super::revoke_others(tx, user_id, kept).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.end_other_sessions", "user", user_id, json!({}));
    audit::append(tx, keyring, actor, &[entry]).await
}

/// Ends all sessions of a person, on an operator's wish. Returns false if there is no such person.
pub async fn end_all_of(tx: &mut Tx, keyring: &Keyring, actor: &Actor, user_id: UserId) -> Result<bool, sqlx::Error> {
    if store::get(tx, user_id).await?.is_none() {
        return Ok(false);
    }
    super::revoke_all(tx, user_id).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.end_all_sessions", "user", user_id, json!({}));
    audit::append(tx, keyring, actor, &[entry]).await?;
    Ok(true)
}
