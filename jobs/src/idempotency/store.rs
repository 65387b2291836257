//! The SQL of idempotency keys.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{KEPT_HOURS, LOCK};
use crate::ids::TenantId;

/// A request under a key.
#[derive(Debug, Clone)]
pub struct Request {
    /// The tenant in which the caller works; [`TenantId::SYSTEM`] for operators.
    pub tenant_id: TenantId,
    /// The API key, or the person.
    pub caller_id: Uuid,
    /// SHA-256 of the method, the path and the key.
    pub key_sha256: Vec<u8>,
    /// SHA-256 of the whole request.
    pub request_sha256: Vec<u8>,
}

/// The stored state of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The id of the request that holds the key.
    pub id: Uuid,
    /// The request that it was used for.
    pub request_sha256: Vec<u8>,
    /// The response to it, encrypted; `None` while the request runs.
    pub answer: Option<(i16, String)>,
}

/// Claims a key that is unused, whose response has expired, or whose holder died during the same
/// request. Returns `None` if the key is in use.
pub async fn claim(conn: &mut PgConnection, request: &Request) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        insert into idempotency_keys (tenant_id, caller_id, key_sha256, id, request_sha256, locked_until)
        values ($1, $2, $3, $4, $5, engine_stamp() + make_interval(secs => $6))
        on conflict (tenant_id, caller_id, key_sha256) do update
        set id = excluded.id, request_sha256 = excluded.request_sha256, status = null, answer = null,
          created_at = engine_stamp(), locked_until = excluded.locked_until
        where idempotency_keys.created_at <= engine_now() - make_interval(hours => $7)
          or (idempotency_keys.locked_until <= engine_now()
            and idempotency_keys.request_sha256 = excluded.request_sha256)
        returning id
        "#,
        request.tenant_id.0,
        request.caller_id,
        request.key_sha256,
        Uuid::now_v7(),
        request.request_sha256,
        LOCK.as_secs_f64(),
        KEPT_HOURS
    )
    .fetch_optional(conn)
    .await
}

/// Returns the stored state of a request's key.
pub async fn find(conn: &mut PgConnection, request: &Request) -> Result<Option<Known>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select id, request_sha256, status, answer
        from idempotency_keys
        where tenant_id = $1 and caller_id = $2 and key_sha256 = $3
        "#,
        request.tenant_id.0,
        request.caller_id,
        request.key_sha256
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Known { id: row.id, request_sha256: row.request_sha256, answer: row.status.zip(row.answer) }))
}

/// Stores the response of the request that holds the key as `id`, in a transaction of any scope.
/// Returns false if another request has taken the key over: then this transaction must not commit.
pub async fn answer(
    conn: &mut PgConnection,
    request: &Request,
    id: Uuid,
    status: i16,
    answer: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select answer_idempotency_key($1, $2, $3, $4, $5, $6) as "is_held!""#,
        request.tenant_id.0,
        request.caller_id,
        request.key_sha256,
        id,
        status,
        answer
    )
    .fetch_one(conn)
    .await
}

/// Returns true if the request that held the key as `id` has its response. Waits for the end of a
/// transaction that stores it. So if there is no response, there never will be.
pub async fn lock_and_see(conn: &mut PgConnection, request: &Request, id: Uuid) -> Result<bool, sqlx::Error> {
    let answered = sqlx::query_scalar!(
        r#"
        select status is not null as "is_answered!"
        from idempotency_keys
        where tenant_id = $1 and caller_id = $2 and key_sha256 = $3 and id = $4
        for update
        "#,
        request.tenant_id.0,
        request.caller_id,
        request.key_sha256,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(answered == Some(true))
}

/// Holds the key of a request that runs for another [`LOCK`].
pub async fn renew(conn: &mut PgConnection, request: &Request, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update idempotency_keys
        set locked_until = engine_stamp() + make_interval(secs => $5)
        where tenant_id = $1 and caller_id = $2 and key_sha256 = $3 and id = $4 and status is null
        ",
        request.tenant_id.0,
        request.caller_id,
        request.key_sha256,
        id,
        LOCK.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Frees the key of a request that holds it and had no effect.
pub async fn delete(conn: &mut PgConnection, request: &Request, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        delete from idempotency_keys
        where tenant_id = $1 and caller_id = $2 and key_sha256 = $3 and id = $4 and status is null
        "#,
        request.tenant_id.0,
        request.caller_id,
        request.key_sha256,
        id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes up to `limit` expired keys, and returns their number. Needs the system scope.
pub async fn delete_old(conn: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        r#"
        delete from idempotency_keys
        where ctid in (
          select ctid
          from idempotency_keys
          where created_at <= engine_now() - make_interval(hours => $1)
          order by created_at
          limit $2
          for update skip locked
        )
        "#,
        KEPT_HOURS,
        limit
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
