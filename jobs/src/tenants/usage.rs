//! The usage of tenants, and the limits of their plans.
//!
//! Each tenant has one row of counts. The statement that checks a limit also raises the count, in
//! the transaction that uses something, so concurrent requests cannot exceed the limit. The row
//! stays locked until that transaction ends, so a use case counts as late as it can.

mod gauges;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

pub use gauges::{Gauge, Usage, get};

use super::{
    period::{self, Period},
    plans::{Plan, PlansConfig},
};
use crate::ids::TenantId;

/// The things that a plan limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Posts a day; each account of a post counts.
    Posts,
    /// Uploaded pictures in all.
    Images,
    /// Texts by AI a month.
    Generations,
}

impl Limited {
    /// The limited thing in words, for messages.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Posts => "posts a day",
            Self::Images => "pictures",
            Self::Generations => "texts by AI a month",
        }
    }
}

/// A limit with no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The limited thing.
    pub limited: Limited,
    /// The plan with the limit.
    pub plan: Plan,
    /// The limit.
    pub limit: u32,
    /// The time at which there is room again, and the seconds until then; `None` if waiting does
    /// not help.
    pub again: Option<(DateTime<Utc>, u64)>,
}

/// The reasons for which something was not counted.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The limit of the plan is reached.
    #[error("the plan {} allows {} {}", .0.plan.name(), .0.limit, .0.limited.words())]
    Reached(Reached),
    /// There is no such tenant, or it is being erased.
    #[error("the tenant does not exist, or is being erased")]
    NoTenant,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// A tenant's plan and its current day and month.
struct Account {
    plan: Plan,
    now: DateTime<Utc>,
    day: Period,
    month: Period,
}

async fn account(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Account, UsageError> {
    let row = sqlx::query!(
        r#"
        select t.plan as "plan: Plan", s.time_zone as "time_zone?", engine_now() as "now!"
        from tenants t
        left join tenant_settings s on s.tenant_id = t.id
        where t.id = $1 and t.erasing_at is null
        "#,
        tenant_id.0
    )
    .fetch_optional(conn)
    .await?
    .ok_or(UsageError::NoTenant)?;
    let zone = period::zone(row.time_zone.as_deref());
    Ok(Account { plan: row.plan, now: row.now, day: period::day(row.now, zone), month: period::month(row.now, zone) })
}

impl Account {
    fn reached(&self, limited: Limited, limit: u32, until: Option<DateTime<Utc>>) -> UsageError {
        let again = until.map(|end| (end, u64::try_from((end - self.now).num_seconds()).unwrap_or(0) + 1));
        UsageError::Reached(Reached { limited, plan: self.plan, limit, again })
    }
}

/// Counts new deliveries.
///
/// # Errors
/// Returns [`UsageError`]; the caller rolls back.
pub async fn take_posts(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    count: usize,
) -> Result<(), UsageError> {
    let account = account(conn, tenant_id).await?;
    let limit = plans.posts(account.plan);
    let taken = sqlx::query!(
        "
        insert into tenant_usage as usage (tenant_id, posts, posts_day, posts_on_day)
        select $1, $2::bigint, $3, $2
        where $2 <= $4::bigint
        on conflict (tenant_id) do update
        set posts = usage.posts + excluded.posts,
          posts_on_day = case when usage.posts_day >= excluded.posts_day then usage.posts_on_day else 0 end
            + excluded.posts_on_day,
          posts_day = greatest(usage.posts_day, excluded.posts_day)
        where case when usage.posts_day >= excluded.posts_day then usage.posts_on_day else 0 end
          + excluded.posts_on_day <= $4
        ",
        tenant_id.0,
        i64::try_from(count).unwrap_or(i64::MAX),
        account.day.first_day,
        i64::from(limit)
    )
    .execute(conn)
    .await?;
    match taken.rows_affected() {
        0 => Err(account.reached(Limited::Posts, limit, Some(account.day.end))),
        _ => Ok(()),
    }
}

/// Counts an uploaded picture and its bytes.
///
/// # Errors
/// Returns [`UsageError`]; the caller rolls back.
pub async fn take_image(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    size_bytes: usize,
) -> Result<(), UsageError> {
    let account = account(conn, tenant_id).await?;
    let limit = plans.images(account.plan);
    let taken = sqlx::query!(
        "
        insert into tenant_usage as usage (tenant_id, images, storage_bytes)
        select $1, 1, $2
        where $3::bigint >= 1
        on conflict (tenant_id) do update
        set images = usage.images + 1, storage_bytes = usage.storage_bytes + excluded.storage_bytes
        where usage.images < $3
        ",
        tenant_id.0,
        i64::try_from(size_bytes).unwrap_or(i64::MAX),
        i64::from(limit)
    )
    .execute(conn)
    .await?;
    match taken.rows_affected() {
        0 => Err(account.reached(Limited::Images, limit, None)),
        _ => Ok(()),
    }
}

/// Counts the bytes of a rendered picture. Rendered pictures do not use up the limit.
pub async fn add_storage(conn: &mut PgConnection, tenant_id: TenantId, size_bytes: usize) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into tenant_usage as usage (tenant_id, storage_bytes)
        values ($1, $2)
        on conflict (tenant_id) do update
        set storage_bytes = usage.storage_bytes + excluded.storage_bytes
        ",
        tenant_id.0,
        i64::try_from(size_bytes).unwrap_or(i64::MAX)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts texts that AI is going to write. Returns the first day of the month in which they are
/// counted.
///
/// # Errors
/// Returns [`UsageError`]; the caller rolls back.
pub async fn take_generations(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    count: i32,
) -> Result<NaiveDate, UsageError> {
    let account = account(conn, tenant_id).await?;
    let limit = plans.generations(account.plan);
    if count_generations(conn, tenant_id, account.month.first_day, count.into(), limit.into()).await? {
        Ok(account.month.first_day)
    } else {
        Err(account.reached(Limited::Generations, limit, Some(account.month.end)))
    }
}

async fn count_generations(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    month: NaiveDate,
    count: i64,
    limit: i64,
) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query!(
        "
        insert into tenant_usage as usage (tenant_id, ai_generations, ai_month, ai_in_month)
        select $1, $2::bigint, $3, $2
        where $2 <= $4::bigint
        on conflict (tenant_id) do update
        set ai_generations = usage.ai_generations + excluded.ai_generations,
          ai_in_month = case when usage.ai_month >= excluded.ai_month then usage.ai_in_month else 0 end
            + excluded.ai_in_month,
          ai_month = greatest(usage.ai_month, excluded.ai_month)
        where case when usage.ai_month >= excluded.ai_month then usage.ai_in_month else 0 end
          + excluded.ai_in_month <= $4
        ",
        tenant_id.0,
        count,
        month,
        limit
    )
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Subtracts texts that were not written from the month in which they were counted.
pub async fn give_back_generations(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    month: NaiveDate,
    count: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update tenant_usage
        set ai_generations = greatest(0, ai_generations - $3),
          ai_in_month = case when ai_month = $2 then greatest(0, ai_in_month - $3) else ai_in_month end
        where tenant_id = $1
        ",
        tenant_id.0,
        month,
        count
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
