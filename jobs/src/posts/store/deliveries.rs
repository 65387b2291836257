//! Deliveries: what becomes of a post on an account.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    engine::{Facts, Remote},
    ids::{AccountId, DeliveryId, JobId, PostId, TenantId, TokenId},
};

/// A delivery.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub post_id: PostId,
    pub account_id: AccountId,
    pub state: String,
    pub scheduled_at: DateTime<Utc>,
    pub job_id: Option<JobId>,
    pub blocked_by: Option<String>,
    pub remote_id: Option<String>,
    pub permalink: Option<String>,
    pub published_at: Option<DateTime<Utc>>,
    pub error_class: Option<String>,
    pub error: Option<String>,
}

/// The deliveries of posts.
///
/// # Errors
/// The database refused.
pub async fn list_deliveries(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    posts: &[Uuid],
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    sqlx::query_as!(
        DeliveryRow,
        r#"
        select id as "id: DeliveryId", post_id as "post_id: PostId", account_id as "account_id: AccountId", state,
          scheduled_at, job_id as "job_id: JobId", blocked_by, remote_id, permalink, published_at, error_class, error
        from post_history
        where tenant_id = $1 and post_id = any($2)
        order by scheduled_at, id
        "#,
        tenant_id.0,
        posts
    )
    .fetch_all(conn)
    .await
}

/// A delivery to insert.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// What goes out.
    pub post_id: PostId,
    /// Where.
    pub account_id: AccountId,
    /// When; `None`: now.
    pub scheduled_at: Option<DateTime<Utc>>,
}

/// Inserts deliveries; answers the ids of those that were not there before.
///
/// # Errors
/// The database refused; a foreign key when an account is not the tenant's.
pub async fn insert_deliveries(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    deliveries: &[NewDelivery],
) -> Result<Vec<DeliveryId>, sqlx::Error> {
    let ids: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.id.0).collect();
    let posts: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.post_id.0).collect();
    let accounts: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.account_id.0).collect();
    let times: Vec<Option<DateTime<Utc>>> = deliveries.iter().map(|delivery| delivery.scheduled_at).collect();
    sqlx::query_scalar!(
        r#"
        insert into post_history (id, tenant_id, post_id, account_id, state, scheduled_at)
        select id, $1, post_id, account_id, 'scheduled', coalesce(at, engine_now())
        from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[]) as new (id, post_id, account_id, at)
        on conflict (tenant_id, post_id, account_id) do nothing
        returning id as "id: DeliveryId"
        "#,
        tenant_id.0,
        &ids,
        &posts,
        &accounts,
        &times as &[Option<DateTime<Utc>>]
    )
    .fetch_all(conn)
    .await
}

/// Notes which jobs make deliveries.
///
/// # Errors
/// The database refused.
pub async fn mark_enqueued(conn: &mut PgConnection, tenant_id: TenantId, jobs: &[Uuid]) -> Result<(), sqlx::Error> {
    // Two statements: under row-level security a value taken out of `args` cannot drive the index of the other table.
    let made = sqlx::query!(
        r#"
        select id, (args ->> 'delivery_id')::uuid as "delivery_id!"
        from jobs
        where tenant_id = $1 and id = any($2)
        "#,
        tenant_id.0,
        jobs
    )
    .fetch_all(&mut *conn)
    .await?;
    let (ids, deliveries): (Vec<Uuid>, Vec<Uuid>) = made.into_iter().map(|job| (job.id, job.delivery_id)).unzip();
    sqlx::query!(
        "
        update post_history
        set job_id = made.job_id
        from unnest($2::uuid[], $3::uuid[]) as made (job_id, delivery_id)
        where tenant_id = $1 and id = made.delivery_id
        ",
        tenant_id.0,
        &ids,
        &deliveries
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The account that a delivery goes to; `None` if there is no such delivery.
///
/// # Errors
/// The database refused.
pub async fn find_account(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
) -> Result<Option<AccountId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select account_id as "account_id: AccountId" from post_history where tenant_id = $1 and id = $2"#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Everything that a delivery needs to go out.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct Parcel {
    pub delivery_id: DeliveryId,
    pub caption: String,
    pub asset_key: Option<String>,
    pub content_type: Option<String>,
    pub account_id: AccountId,
    pub account_status: String,
    pub page_id: String,
    pub token_id: TokenId,
    pub access_token: String,
    /// Its call may have left in an earlier attempt.
    pub was_sent: bool,
}

/// Claims a delivery for its job: from `scheduled`, or from what an earlier attempt or a retry of the same job left.
/// `None` if it was deleted, is published, or another job has it.
///
/// # Errors
/// The database refused.
pub async fn claim(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    job_id: JobId,
    effect_key: &str,
) -> Result<Option<Parcel>, sqlx::Error> {
    sqlx::query_as!(
        Parcel,
        r#"
        with claimed as (
          update post_history
          set state = case
              when state = 'unknown' and exists (
                select from effects where tenant_id = $1 and key = $4 and effects.state in ('sent', 'unknown')
              ) then state
              else 'submitting'
            end,
            job_id = $3, error = null,
            error_class = null, blocked_by = null
          where tenant_id = $1 and id = $2
            and (state = 'scheduled'
              or (state in ('submitting', 'unknown', 'failed', 'cancelled') and job_id is not distinct from $3))
          returning id, post_id, account_id
        )
        select claimed.id as "delivery_id: DeliveryId", coalesce(post.caption, '') as "caption!",
          asset.storage_key as "asset_key?", asset.content_type as "content_type?",
          account.id as "account_id: AccountId", account.status as account_status, account.remote_id as page_id,
          token.id as "token_id: TokenId", token.access_token,
          exists (
            select from effects where tenant_id = $1 and key = $4 and state <> 'intended'
          ) as "was_sent!"
        from claimed
        join posts post on post.tenant_id = $1 and post.id = claimed.post_id
        join social_accounts account on account.tenant_id = $1 and account.id = claimed.account_id
        join oauth_tokens token on token.tenant_id = $1 and token.id = account.token_id
        left join brand_assets asset on asset.tenant_id = $1 and asset.id = post.asset_id
        "#,
        tenant_id.0,
        id.0,
        job_id.0,
        effect_key
    )
    .fetch_optional(conn)
    .await
}

/// Marks a delivery published, with what the provider calls it.
///
/// # Errors
/// The database refused.
pub async fn mark_published(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    remote: &Remote,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update post_history
        set state = 'published', remote_id = $3, permalink = coalesce($4, permalink), published_at = engine_stamp()
        where tenant_id = $1 and id = $2 and state in ('submitting', 'unknown')
        ",
        tenant_id.0,
        id.0,
        remote.id,
        remote.permalink
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks a delivery of which nobody can tell whether it went out; answers whether its tenant has not been told that yet.
///
/// # Errors
/// The database refused.
pub async fn mark_unknown(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
) -> Result<bool, sqlx::Error> {
    mark(conn, tenant_id, id, "unknown", Some(facts), None).await
}

/// Puts a delivery that could not go out yet back, with what it waits for if that is not time.
///
/// # Errors
/// The database refused.
pub async fn mark_waiting(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
    blocked_by: Option<&str>,
) -> Result<(), sqlx::Error> {
    mark(conn, tenant_id, id, "scheduled", Some(facts), blocked_by).await?;
    Ok(())
}

/// Marks a delivery that will not go out; answers whether its tenant has not been told that yet.
///
/// # Errors
/// The database refused.
pub async fn mark_failed(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
) -> Result<bool, sqlx::Error> {
    mark(conn, tenant_id, id, "failed", Some(facts), None).await
}

/// Marks a delivery that somebody cancelled.
///
/// # Errors
/// The database refused.
pub async fn mark_cancelled(conn: &mut PgConnection, tenant_id: TenantId, id: DeliveryId) -> Result<(), sqlx::Error> {
    mark(conn, tenant_id, id, "cancelled", None, None).await?;
    Ok(())
}

/// Answers whether this is an outcome that its tenant is to be told, and has not been.
async fn mark(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    state: &str,
    facts: Option<&Facts>,
    blocked_by: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let is_news = sqlx::query_scalar!(
        r#"
        with before as (
          select id, told_of
          from post_history
          where tenant_id = $1 and id = $2 and state in ('scheduled', 'submitting')
          for update
        )
        update post_history delivery
        set state = $3, error_class = $4, error = $5, blocked_by = $6,
          told_of = case when $3 in ('failed', 'unknown') then $3 else delivery.told_of end
        from before
        where delivery.tenant_id = $1 and delivery.id = before.id
        returning $3 in ('failed', 'unknown') and before.told_of is distinct from $3 as "is_news!"
        "#,
        tenant_id.0,
        id.0,
        state,
        facts.map(|facts| facts.class.as_str()),
        facts.map(|facts| facts.message.as_str()),
        blocked_by
    )
    .fetch_optional(conn)
    .await?;
    Ok(is_news.unwrap_or(false))
}

/// Marks the account of a delivery, unless it was connected again since the attempt that saw it refused began; answers it if
/// it did not need its user before.
///
/// # Errors
/// The database refused.
pub async fn mark_account_needs_reauth(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    reason: &str,
) -> Result<Option<AccountId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update social_accounts account
        set status = 'needs_reauth', status_reason = $3
        from post_history delivery, jobs job, oauth_tokens token
        where delivery.tenant_id = $1 and delivery.id = $2
          and job.tenant_id = $1 and job.id = delivery.job_id
          and account.tenant_id = $1 and account.id = delivery.account_id
          and token.tenant_id = $1 and token.id = account.token_id and token.refreshed_at < job.started_at
          and account.status <> 'needs_reauth'
        returning account.id as "id: AccountId"
        "#,
        tenant_id.0,
        id.0,
        reason
    )
    .fetch_optional(conn)
    .await
}
