//! Calendars: months of posts written by AI.

use chrono::{DateTime, NaiveDate, Utc};
use jobs::{
    audit::Entry,
    calendar::{
        GenerateCalendar, reserve,
        store::{self, CalendarRow},
    },
    engine::NewJob,
    ids::CalendarId,
    posts,
    providers::ai,
};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
use serde_json::json;
use uuid::Uuid;

use crate::{
    ApiError,
    api::{
        Tag,
        posts::{PostView, with_deliveries},
        require_tenant,
    },
    auth::{Caller, Needs},
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// A calendar to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewCalendar {
    /// `2026-12`.
    #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}$"))]
    month: String,
    /// How many posts: 1 to 62.
    #[oai(validator(minimum(value = "1"), maximum(value = "62")))]
    posts: i32,
    /// What the month is to be about.
    #[oai(default, validator(max_length = 4000))]
    brief: String,
}

/// A month of posts.
#[derive(Debug, Object)]
pub(crate) struct CalendarView {
    id: Uuid,
    tenant_id: Uuid,
    /// `2026-12`.
    month: String,
    brief: String,
    /// planning, writing, ready or failed.
    state: String,
    /// Why it failed.
    error: Option<String>,
    /// The job that makes it.
    job_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    /// Its posts, in order; captions come one by one.
    posts: Vec<PostView>,
}

#[derive(ApiResponse)]
pub(crate) enum AcceptedCalendar {
    /// A job makes the calendar.
    #[oai(status = 202)]
    Accepted(
        Json<CalendarView>,
        /// The job's address.
        #[oai(header = "Location")]
        String,
    ),
}

fn view(row: CalendarRow, posts: Vec<PostView>) -> CalendarView {
    CalendarView {
        id: row.id.0,
        tenant_id: row.tenant_id.0,
        month: row.month.format("%Y-%m").to_string(),
        brief: row.brief,
        state: row.state.name().to_owned(),
        error: row.error,
        job_id: row.job_id.map(|id| id.0),
        created_at: row.created_at,
        posts,
    }
}

pub(crate) struct CalendarsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Calendars")]
impl CalendarsApi {
    /// Have a month of posts written: a plan, then a job a post for its caption.
    #[oai(path = "/tenants/:id/calendars", method = "post", operation_id = "create_calendar")]
    async fn create(
        &self,
        #[oai(scope = "Needs::CalendarsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<NewCalendar>,
    ) -> Result<AcceptedCalendar, ApiError> {
        let tenant_id = caller.tenant(id.0)?;
        let month = month(&body.month)?;
        if !self.state.services.ai.is_configured() {
            return Err(ApiError::not_configured("The language model", ai::SETTING));
        }
        let mut tx = self.state.db.tenant(tenant_id).await?;
        require_tenant(&mut tx, tenant_id).await?;
        let calendar_id = store::insert(&mut tx, tenant_id, month, &body.brief, body.posts).await?;
        let job = tx.enqueue(NewJob::new(tenant_id, &GenerateCalendar { calendar_id })).await?;
        store::mark_enqueued(&mut tx, tenant_id, calendar_id, job.id).await?;
        reserve::reserve(&mut tx, &self.state.services.plans, tenant_id, calendar_id, body.posts).await?;
        let calendar = store::get(&mut tx, calendar_id).await?.ok_or_else(|| ApiError::not_found("calendar"))?;
        let details = json!({ "month": body.month, "posts": body.posts });
        let entry = Entry::new(tenant_id, "calendar.create", "calendar", calendar_id, details);
        self.state.record(&mut tx, caller.actor(), entry).await?;
        tx.commit().await?;
        Ok(AcceptedCalendar::Accepted(Json(view(calendar, Vec::new())), format!("/api/v1/jobs/{}", job.id)))
    }

    /// One calendar with its posts.
    #[oai(path = "/calendars/:id", method = "get", operation_id = "get_calendar")]
    async fn get(
        &self,
        #[oai(scope = "Needs::CalendarsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<CalendarView>, ApiError> {
        let mut tx = self.state.db.begin(caller.scope()?).await?;
        let calendar = store::get(&mut tx, CalendarId(id.0)).await?.ok_or_else(|| ApiError::not_found("calendar"))?;
        let posts = posts::store::list_by_calendar(&mut tx, calendar.tenant_id, calendar.id).await?;
        let posts = with_deliveries(&mut tx, calendar.tenant_id, posts).await?;
        tx.commit().await?;
        Ok(Json(view(calendar, posts)))
    }
}

fn month(month: &str) -> Result<NaiveDate, ApiError> {
    NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d")
        .map_err(|_| ApiError::unprocessable(ErrorCode::BadMonth, "month should look like 2026-12."))
}
