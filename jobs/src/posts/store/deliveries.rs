//! Deliveries: one post on one account.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{AccountId, AssetId, DeliveryId, JobId, PostId, TenantId},
    posts::DeliveryState,
};

/// A delivery.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub post_id: PostId,
    pub account_id: AccountId,
    pub asset_id: Option<AssetId>,
    pub state: DeliveryState,
    pub scheduled_at: DateTime<Utc>,
    pub job_id: Option<JobId>,
    pub blocked_by: Option<String>,
    pub remote_id: Option<String>,
    pub permalink: Option<String>,
    pub published_at: Option<DateTime<Utc>>,
    pub error_class: Option<String>,
    pub error: Option<String>,
    /// The time since which the post is being looked for, because it may be published.
    pub looked_for_since: Option<DateTime<Utc>>,
    /// The time of the next search.
    pub next_look_at: Option<DateTime<Utc>>,
}

/// Returns the deliveries of posts.
pub async fn list_deliveries(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    posts: &[Uuid],
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    sqlx::query_as!(
        DeliveryRow,
        r#"
        select delivery.id as "id: DeliveryId", delivery.post_id as "post_id: PostId",
          delivery.account_id as "account_id: AccountId", delivery.asset_id as "asset_id: AssetId",
          delivery.state as "state: DeliveryState",
          delivery.scheduled_at, delivery.job_id as "job_id: JobId", delivery.blocked_by, delivery.remote_id,
          delivery.permalink, delivery.published_at, delivery.error_class, delivery.error,
          open.sent_at as "looked_for_since?",
          case when open.sent_at is not null and job.state = 'suspended' then job.run_at end as next_look_at
        from post_history delivery
        left join jobs job on job.tenant_id = $1 and job.id = delivery.job_id and delivery.state = 'submitting'
        left join lateral (
          select min(effect.sent_at) as sent_at
          from effects effect
          where effect.tenant_id = $1 and effect.job_id = job.id and effect.state = 'sent'
            and (effect.looks > 0 or job.state = 'suspended')
        ) open on true
        where delivery.tenant_id = $1 and delivery.post_id = any($2)
        order by delivery.scheduled_at, delivery.id
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
    /// The post.
    pub post_id: PostId,
    /// The account.
    pub account_id: AccountId,
    /// The time; `None` for now.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// The picture.
    pub asset_id: Option<AssetId>,
}

/// Inserts deliveries. Returns the ids of those that did not exist before.
///
/// # Errors
/// Returns a violated foreign key if an account is not the tenant's.
pub async fn insert_deliveries(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    deliveries: &[NewDelivery],
) -> Result<Vec<DeliveryId>, sqlx::Error> {
    let ids: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.id.0).collect();
    let posts: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.post_id.0).collect();
    let accounts: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.account_id.0).collect();
    let times: Vec<Option<DateTime<Utc>>> = deliveries.iter().map(|delivery| delivery.scheduled_at).collect();
    let assets: Vec<Option<Uuid>> = deliveries.iter().map(|delivery| delivery.asset_id.map(|id| id.0)).collect();
    sqlx::query_scalar!(
        r#"
        insert into post_history (id, tenant_id, post_id, account_id, state, scheduled_at, asset_id)
        select id, $1, post_id, account_id, 'scheduled', coalesce(at, engine_now()), asset_id
        from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::uuid[])
          as new (id, post_id, account_id, at, asset_id)
        on conflict (tenant_id, post_id, account_id) do nothing
        returning id as "id: DeliveryId"
        "#,
        tenant_id.0,
        &ids,
        &posts,
        &accounts,
        &times as &[Option<DateTime<Utc>>],
        &assets as &[Option<Uuid>]
    )
    .fetch_all(conn)
    .await
}

/// Returns true if one of the accounts is disconnected.
pub async fn is_any_disconnected(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    accounts: impl Iterator<Item = AccountId>,
) -> Result<bool, sqlx::Error> {
    let ids: Vec<Uuid> = accounts.map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"
        select exists (
          select from social_accounts where tenant_id = $1 and id = any($2) and status = 'disconnected'
        ) as "is_any!"
        "#,
        tenant_id.0,
        &ids
    )
    .fetch_one(conn)
    .await
}

/// Records the jobs that publish deliveries.
pub async fn mark_enqueued(conn: &mut PgConnection, tenant_id: TenantId, jobs: &[Uuid]) -> Result<(), sqlx::Error> {
    // Two statements, because under row-level security a value taken out of `args` cannot use the
    // index of the other table.
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

/// Returns true if one of these posts of an account is known to be the tenant's.
pub async fn is_any_published(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    account_id: AccountId,
    remote_ids: &[String],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from post_history
          where tenant_id = $1 and account_id = $2 and state = 'published' and remote_id = any($3)
        ) as "is_any!"
        "#,
        tenant_id.0,
        account_id.0,
        remote_ids
    )
    .fetch_one(conn)
    .await
}

/// Returns the account of a delivery, or `None` if there is no such delivery.
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
