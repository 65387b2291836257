//! Asking for a calendar.

use chrono::NaiveDate;
use serde_json::json;

use super::{
    GenerateCalendar, reserve,
    store::{self, CalendarRow},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, NewJob, Tx},
    ids::TenantId,
    service_keys::{self, Service},
    services::Services,
    tenants::usage::UsageError,
};

/// A calendar to make.
#[derive(Debug, Clone)]
pub struct NewCalendar {
    /// The first day of its month.
    pub month: NaiveDate,
    /// The topic of the month.
    pub brief: String,
    /// The number of posts.
    pub posts: i32,
}

/// The reason why no calendar was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No language model is set up.
    #[error("no language model is set up: OPENAI_API_KEY is missing")]
    NotConfigured,
    /// The tenant's plan allows no more, or there is no tenant.
    #[error("could not count the texts")]
    Usage(#[from] UsageError),
    /// The job could not be enqueued.
    #[error("could not enqueue the job")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Makes a calendar, with the job that plans and writes it.
///
/// # Errors
/// [`CreateError`], with nothing done once the transaction is dropped.
pub async fn create(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    new: &NewCalendar,
) -> Result<CalendarRow, CreateError> {
    if !services.ai.is_configured() && !service_keys::store::has(tx, tenant_id, Service::Openai).await? {
        return Err(CreateError::NotConfigured);
    }
    let calendar_id = store::insert(tx, tenant_id, new.month, &new.brief, new.posts).await?;
    let job = tx.enqueue(NewJob::new(tenant_id, &GenerateCalendar { calendar_id })).await?;
    store::mark_enqueued(tx, tenant_id, calendar_id, job.id).await?;
    reserve::reserve(tx, &services.plans, tenant_id, calendar_id, new.posts).await?;
    let calendar = store::get(tx, calendar_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    let details = json!({ "month": new.month.format("%Y-%m").to_string(), "posts": new.posts });
    let entry = Entry::new(tenant_id, "calendar.create", "calendar", calendar_id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(calendar)
}
