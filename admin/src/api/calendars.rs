//! Calendars: months of posts written by AI.

use chrono::{DateTime, NaiveDate, Utc};
use jobs::{
    calendar::{
        self, CreateError, NewCalendar,
        store::{self, CalendarRow},
    },
    engine::Scope,
    ids::CalendarId,
    posts,
    providers::ai,
};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{
        Tag,
        posts::{PostView, with_deliveries},
        require_tenant,
    },
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// A calendar to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, rename = "NewCalendar")]
pub(crate) struct CalendarBody {
    /// The month, such as `2026-12`.
    #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}$"))]
    month: String,
    /// The number of posts, 1 to 62.
    #[oai(validator(minimum(value = "1"), maximum(value = "62")))]
    posts: i32,
    /// The subject of the month.
    #[oai(default, validator(max_length = 4000))]
    brief: String,
}

impl CalendarBody {
    fn checked(self) -> Result<NewCalendar, ApiError> {
        let month = NaiveDate::parse_from_str(&format!("{}-01", self.month), "%Y-%m-%d")
            .map_err(|_| ApiError::unprocessable(ErrorCode::BadMonth, "month should look like 2026-12."))?;
        Ok(NewCalendar { month, brief: self.brief, posts: self.posts })
    }
}

/// A month of posts.
#[derive(Debug, Object)]
pub(crate) struct CalendarView {
    id: Uuid,
    tenant_id: Uuid,
    /// The month, such as `2026-12`.
    month: String,
    brief: String,
    /// `planning`, `writing`, `ready` or `failed`.
    state: String,
    /// The reason why it failed.
    error: Option<String>,
    /// The job that makes the calendar.
    job_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    /// The posts, in order. Captions arrive one by one.
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
    /// Have AI write a month of posts.
    ///
    /// One job plans the month, then one job for each post writes its caption.
    #[oai(path = "/tenants/:id/calendars", method = "post", operation_id = "create_calendar")]
    async fn create(
        &self,
        #[oai(scope = "Needs::CalendarsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<CalendarBody>,
    ) -> Result<Answered<AcceptedCalendar>, ApiError> {
        let tenant_id = caller.tenant(id.0)?;
        let new = body.0.checked()?;
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        require_tenant(&mut tx, tenant_id).await?;
        let calendar = calendar::create(&mut tx, &self.state.services, caller.actor(), tenant_id, &new).await?;
        let location = format!("/api/v1/jobs/{}", calendar.job_id.map_or_else(Uuid::nil, |id| id.0));
        tx.answer(AcceptedCalendar::Accepted(Json(view(calendar, Vec::new())), location)).await
    }

    /// Get a calendar with its posts.
    #[oai(path = "/calendars/:id", method = "get", operation_id = "get_calendar")]
    async fn get(
        &self,
        #[oai(scope = "Needs::CalendarsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<CalendarView>, ApiError> {
        let mut tx = self.state.db.read(caller.scope()?).await?;
        let calendar = store::get(&mut tx, CalendarId(id.0)).await?.ok_or_else(|| ApiError::not_found("calendar"))?;
        let posts = posts::store::list_by_calendar(&mut tx, calendar.tenant_id, calendar.id).await?;
        let posts = with_deliveries(&mut tx, calendar.tenant_id, posts).await?;
        Ok(Json(view(calendar, posts)))
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::NotConfigured => Self::not_configured("The language model", ai::SETTING),
            CreateError::Usage(error) => error.into(),
            CreateError::Enqueue(error) => error.into(),
            CreateError::Database(error) => error.into(),
        }
    }
}
