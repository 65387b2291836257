//! The reservation of AI texts for a calendar. Texts are counted when the calendar is requested,
//! and given back if they are not written.
//!
//! The calendar stores the number of texts that are counted and not written yet. Each text lowers
//! it by one, when it is written or given up. If nothing is left, as after a retry, texts are
//! counted again before AI is called. So the limit holds for retries too.

use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::{
    engine::{Cause, CauseClass, JobError},
    ids::{CalendarId, PostId, TenantId},
    tenants::{
        plans::PlansConfig,
        usage::{self, UsageError},
    },
};

/// Counts the plan of a new calendar and the captions of its posts.
///
/// # Errors
/// Returns [`UsageError`]; the caller rolls back.
pub async fn reserve(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    id: CalendarId,
    post_count: i32,
) -> Result<(), UsageError> {
    reserve_texts(conn, plans, tenant_id, id, post_count.saturating_add(1)).await
}

/// Counts `count` texts if the calendar has nothing reserved any more. It must run before AI is
/// called.
///
/// # Errors
/// Returns [`UsageError`]; the caller does not call AI.
pub async fn reserve_again(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    id: CalendarId,
    count: i32,
) -> Result<(), UsageError> {
    let reserved = sqlx::query_scalar!(
        "
        select generations_reserved
        from content_calendar
        where tenant_id = $1 and id = $2
        for no key update
        ",
        tenant_id.0,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    if reserved == Some(0) { reserve_texts(conn, plans, tenant_id, id, count).await } else { Ok(()) }
}

async fn reserve_texts(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    id: CalendarId,
    count: i32,
) -> Result<(), UsageError> {
    let month = usage::take_generations(&mut *conn, plans, tenant_id, count).await?;
    sqlx::query!(
        "
        update content_calendar
        set generations_reserved = $3, reserved_month = $4
        where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0,
        count,
        month
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns the calendar of a post.
pub async fn calendar_of(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    post_id: PostId,
) -> Result<Option<CalendarId>, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"
        select calendar_id as "calendar_id: CalendarId"
        from posts
        where tenant_id = $1 and id = $2
        "#,
        tenant_id.0,
        post_id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.flatten())
}

/// Takes one written text off the calendar's reservation. Another text may have used it up; then
/// this one is counted now, or refused.
///
/// # Errors
/// Returns [`UsageError`]; the caller rolls back.
pub async fn use_one(
    conn: &mut PgConnection,
    plans: &PlansConfig,
    tenant_id: TenantId,
    id: CalendarId,
) -> Result<(), UsageError> {
    let used = sqlx::query!(
        "
        update content_calendar
        set generations_reserved = generations_reserved - 1
        where tenant_id = $1 and id = $2 and generations_reserved > 0
        ",
        tenant_id.0,
        id.0
    )
    .execute(&mut *conn)
    .await?;
    if used.rows_affected() == 0 {
        usage::take_generations(conn, plans, tenant_id, 1).await?;
    }
    Ok(())
}

/// Gives back up to `count` texts of the calendar that will not be written.
pub async fn give_back(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: CalendarId,
    count: i32,
) -> Result<(), sqlx::Error> {
    let freed: Option<(i32, Option<NaiveDate>)> = sqlx::query!(
        r#"
        with held as (
          select id, least($3, generations_reserved) as count
          from content_calendar
          where tenant_id = $1 and id = $2 and generations_reserved > 0
          for update
        )
        update content_calendar
        set generations_reserved = generations_reserved - held.count
        from held
        where content_calendar.tenant_id = $1 and content_calendar.id = held.id
        returning held.count as "count!", reserved_month
        "#,
        tenant_id.0,
        id.0,
        count
    )
    .fetch_optional(&mut *conn)
    .await?
    .map(|row| (row.count, row.reserved_month));
    if let Some((count, Some(month))) = freed {
        usage::give_back_generations(conn, tenant_id, month, count.into()).await?;
    }
    Ok(())
}

impl From<UsageError> for JobError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::Reached(reached) => {
                let (plan, limit, what) = (reached.plan.name(), reached.limit, reached.limited.words());
                let when = match reached.again {
                    Some((time, _)) => format!("retry the job from {time} on, or ask for a larger plan"),
                    None => "ask for a larger plan, then retry the job".to_owned(),
                };
                let words = format!("The plan {plan} allows {limit} {what}, and this would be more: {when}.");
                Self::Fail(Cause::plain(CauseClass::Limit, words))
            }
            UsageError::NoTenant => Self::Fail(Cause::plain(CauseClass::Permanent, "The tenant is being erased.")),
            UsageError::Database(error) => error.into(),
        }
    }
}
