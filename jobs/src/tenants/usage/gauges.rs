//! The current usage of a tenant beside its limits.

use sqlx::PgConnection;

use super::{UsageError, account};
use crate::{
    ids::TenantId,
    tenants::{
        period::Period,
        plans::{Plan, PlansConfig},
    },
};

/// The used part of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    /// The used amount.
    pub used: i64,
    /// The limit.
    pub limit: u32,
    /// The period of the limit; `None` if it counts in all.
    pub period: Option<Period>,
}

/// The usage of a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Its plan.
    pub plan: Plan,
    /// Posts on this day.
    pub posts: Gauge,
    /// Uploaded pictures.
    pub images: Gauge,
    /// Texts by AI in this month.
    pub generations: Gauge,
    /// Posts since the tenant exists.
    pub posts_in_all: i64,
    /// Texts by AI since the tenant exists.
    pub generations_in_all: i64,
    /// The size of all its pictures.
    pub storage_bytes: i64,
}

/// Returns the usage of a tenant.
///
/// # Errors
/// Returns [`UsageError::NoTenant`] if there is no such tenant.
pub async fn get(conn: &mut PgConnection, plans: &PlansConfig, tenant_id: TenantId) -> Result<Usage, UsageError> {
    let account = account(conn, tenant_id).await?;
    let row = sqlx::query!(
        r#"
        select coalesce(max(images), 0) as "images!", coalesce(max(storage_bytes), 0) as "storage_bytes!",
          coalesce(max(posts), 0) as "posts!", coalesce(max(ai_generations), 0) as "ai_generations!",
          coalesce(max(posts_on_day) filter (where posts_day >= $2), 0) as "posts_on_day!",
          coalesce(max(ai_in_month) filter (where ai_month >= $3), 0) as "ai_in_month!"
        from tenant_usage
        where tenant_id = $1
        "#,
        tenant_id.0,
        account.day.first_day,
        account.month.first_day
    )
    .fetch_one(conn)
    .await?;
    let plan = account.plan;
    Ok(Usage {
        plan,
        posts: Gauge { used: row.posts_on_day, limit: plans.posts(plan), period: Some(account.day) },
        images: Gauge { used: row.images, limit: plans.images(plan), period: None },
        generations: Gauge { used: row.ai_in_month, limit: plans.generations(plan), period: Some(account.month) },
        posts_in_all: row.posts,
        generations_in_all: row.ai_generations,
        storage_bytes: row.storage_bytes,
    })
}
