//! Errors as clients see them: `application/problem+json` (RFC 9457) with a stable code. docs/ERRORS.md lists the codes.

mod framework;

use std::time::Duration;

use jobs::{
    assets::{PictureError, StorageError},
    engine::{EnqueueError, ledger::Refused},
    posts::ScheduleError,
};
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object, payload::Json};

pub(crate) use self::framework::{from_framework, panic_response};

/// What went wrong, and what to do.
#[derive(Debug, Clone, Object)]
pub struct Problem {
    /// Identifies the sort of problem: `about:blank`, the code says it.
    r#type: String,
    /// The HTTP status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A stable word for programs.
    code: String,
    /// What to do, for people.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
        }
    }
}

/// Every error that an operation answers.
#[derive(Debug, ApiResponse)]
pub enum ApiError {
    /// The request cannot be read.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// No credentials, or some that are not valid.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthorized(Json<Problem>),
    /// The credentials are valid, but do not allow that.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Json<Problem>),
    /// There is no such thing, or it is another tenant's.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// The body did not arrive in time.
    #[oai(status = 408, content_type = "application/problem+json")]
    TooSlow(Json<Problem>),
    /// It cannot be done in the state that things are in.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
    /// The same request runs already.
    #[oai(status = 409, content_type = "application/problem+json")]
    InFlight(
        Json<Problem>,
        /// Seconds after which to look again, where that helps.
        #[oai(header = "Retry-After")]
        Option<u64>,
    ),
    /// Too many bytes.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<Problem>),
    /// A body of another type than the operation takes.
    #[oai(status = 415, content_type = "application/problem+json")]
    MediaType(Json<Problem>),
    /// The request can be read, but says something that cannot be.
    #[oai(status = 422, content_type = "application/problem+json")]
    Unprocessable(Json<Problem>),
    /// Too much in too short a time.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooMany(
        Json<Problem>,
        /// Seconds after which it may be tried again.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// A bug on our side.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<Problem>),
    /// The database or the storage is away, or too many do that at once.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(Json<Problem>),
}

impl ApiError {
    fn problem(&self) -> &Problem {
        match self {
            Self::BadRequest(Json(problem))
            | Self::Unauthorized(Json(problem))
            | Self::Forbidden(Json(problem))
            | Self::NotFound(Json(problem))
            | Self::Conflict(Json(problem))
            | Self::TooLarge(Json(problem))
            | Self::MediaType(Json(problem))
            | Self::Unprocessable(Json(problem))
            | Self::TooSlow(Json(problem))
            | Self::InFlight(Json(problem), _)
            | Self::TooMany(Json(problem), _)
            | Self::Internal(Json(problem))
            | Self::Unavailable(Json(problem)) => problem,
        }
    }

    /// What to do, for people.
    pub(crate) fn detail(&self) -> &str {
        &self.problem().detail
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::BadRequest(Json(Problem::new(StatusCode::BAD_REQUEST, code, detail)))
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "Send an API key or an access token as `Authorization: Bearer ...`; `admin create-operator` makes the first \
                      key, POST /api/v1/auth/login a token.";
        Self::Unauthorized(Json(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)))
    }

    pub(crate) fn operators_only() -> Self {
        let detail = "This concerns every tenant: it takes an operator's key.";
        Self::forbidden("operators_only", detail)
    }

    pub(crate) fn people_only() -> Self {
        let detail = "This is about a person: sign in, and send the access token instead of a key.";
        Self::forbidden("people_only", detail)
    }

    pub(crate) fn unverified() -> Self {
        let detail = "Open the link in the mail first: another one was sent if the last is some minutes old.";
        Self::forbidden("email_not_verified", detail)
    }

    pub(crate) fn foreign_form() -> Self {
        let detail = "This form was not sent by a page of ours: open the page again and send it from there.";
        Self::forbidden("foreign_form", detail)
    }

    pub(crate) fn owners_only() -> Self {
        let detail = "Only owners of the tenant do that: ask one of them.";
        Self::forbidden("owners_only", detail)
    }

    pub(crate) fn wrong_password() -> Self {
        let detail = "The address or the password is wrong.";
        Self::Unauthorized(Json(Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", detail)))
    }

    pub(crate) fn bad_refresh_token() -> Self {
        let detail = "The refresh token is not good, or not any more: sign in again.";
        Self::Unauthorized(Json(Problem::new(StatusCode::UNAUTHORIZED, "bad_refresh_token", detail)))
    }

    pub(crate) fn bad_code() -> Self {
        let detail = "The link is not valid, was used, or its time is over: ask for a new one.";
        Self::Unprocessable(Json(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_code", detail)))
    }

    pub(crate) fn last_owner() -> Self {
        Self::conflict("last_owner", "A tenant keeps one owner at least: make somebody else an owner first.")
    }

    pub(crate) fn too_many_tries(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let detail = format!("There were too many tries: wait for {seconds} seconds.");
        Self::too_many("too_many_tries", detail, seconds)
    }

    pub(crate) fn forbidden(code: &str, detail: impl Into<String>) -> Self {
        Self::Forbidden(Json(Problem::new(StatusCode::FORBIDDEN, code, detail)))
    }

    pub(crate) fn too_many(code: &str, detail: impl Into<String>, wait_seconds: u64) -> Self {
        Self::TooMany(Json(Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail)), wait_seconds)
    }

    pub(crate) fn no_tenant() -> Self {
        let detail = "You are in no tenant: make one, or have somebody invite you.";
        Self::forbidden("no_tenant", detail)
    }

    pub(crate) fn missing_permission(needed: &str) -> Self {
        let detail = format!("This takes the permission {needed}.");
        Self::forbidden("missing_permission", detail)
    }

    pub(crate) fn not_consumed(detail: impl Into<String>) -> Self {
        Self::Unavailable(Json(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_consumed", detail)))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::NotFound(Json(Problem::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}."))))
    }

    pub(crate) fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::Conflict(Json(Problem::new(StatusCode::CONFLICT, code, detail)))
    }

    pub(crate) fn unprocessable(code: &str, detail: impl Into<String>) -> Self {
        Self::Unprocessable(Json(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)))
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let detail = format!("The body has more than {limit_bytes} bytes: send less.");
        Self::TooLarge(Json(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)))
    }

    pub(crate) fn too_slow() -> Self {
        let detail = "The body took too long to arrive. Send it again.";
        Self::TooSlow(Json(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)))
    }

    pub(crate) fn rate_limited(wait_seconds: u64) -> Self {
        let detail =
            format!("Too many requests: try again in {wait_seconds} seconds. RateLimit says what is left of what.");
        Self::TooMany(Json(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)), wait_seconds)
    }

    pub(crate) fn in_flight() -> Self {
        let detail = "A request with this Idempotency-Key runs. Send it again in a moment for its answer.";
        Self::InFlight(Json(Problem::new(StatusCode::CONFLICT, "idempotency_in_flight", detail)), Some(1))
    }

    pub(crate) fn took_too_long() -> Self {
        let detail = "This took too long and was given up. Look whether it had an effect before you try again.";
        Self::Unavailable(Json(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "took_too_long", detail)))
    }

    pub(crate) fn origin_not_listed() -> Self {
        let detail = "Pages of other sites may not call this API; its operator lists those that may in CORS_ORIGINS.";
        Self::forbidden("origin_not_listed", detail)
    }

    /// Logs the cause; the client learns nothing of it.
    pub(crate) fn internal(cause: impl std::error::Error) -> Self {
        tracing::error!(causes = chain(&cause), "a request failed");
        let detail = "Something failed on our side. Try again; if it stays, tell the operator when it happened.";
        Self::Internal(Json(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)))
    }

    pub(crate) fn too_many_streams() -> Self {
        let detail = "Too many event streams are open. Try again in a moment, or ask for the job itself.";
        Self::Unavailable(Json(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)))
    }

    pub(crate) fn unavailable(what: &str, cause: impl std::error::Error) -> Self {
        tracing::warn!(what, causes = chain(&cause), "a request failed");
        let detail = format!("The {what} does not answer. Try again in a moment.");
        Self::Unavailable(Json(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)))
    }
}

/// What failed, and why.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes.join(": ")
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        if code.starts_with("22") {
            let detail = "A value cannot be stored: texts without NUL characters, times between the years 0 and 9999.";
            return Self::unprocessable("bad_value", detail);
        }
        if ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class)) {
            return Self::unavailable("database", error);
        }
        match (&error, constraint) {
            (
                _,
                Some(
                    "jobs_tenant_id_fkey"
                    | "api_keys_tenant_id_fkey"
                    | "asset_folders_tenant_id_fkey"
                    | "oauth_state_tenant_id_fkey"
                    | "brand_assets_tenant_id_fkey"
                    | "content_calendar_tenant_id_fkey"
                    | "posts_tenant_id_fkey"
                    | "post_history_tenant_id_fkey"
                    | "tenant_settings_tenant_id_fkey"
                    | "tenant_usage_tenant_id_fkey"
                    | "tenant_users_tenant_id_fkey"
                    | "invitations_tenant_id_fkey"
                    | "audit_log_tenant_id_fkey",
                ),
            ) => Self::not_found("tenant"),
            // Its tenant is being erased: the folder went a moment ago.
            (_, Some("brand_assets_tenant_id_folder_id_fkey")) => Self::not_found("folder"),
            (_, Some("tenant_settings_logo_fkey")) => Self::not_found("picture"),
            (sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed, _) => {
                Self::unavailable("database", error)
            }
            _ => Self::internal(error),
        }
    }
}

impl From<EnqueueError> for ApiError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Suspended { job_id, suspended_on } => Self::conflict(
                "job_suspended",
                format!("Job {job_id} does the same and waits on {suspended_on}: retry or cancel that one."),
            ),
            EnqueueError::ParentCancelled => Self::conflict("parent_cancelled", "The parent is to be cancelled."),
            EnqueueError::Database(error) => error.into(),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(error: Refused) -> Self {
        let code = error.code();
        let detail = match error {
            Refused::Missing => return Self::not_found("job"),
            Refused::NoEffect => return Self::not_found("effect"),
            Refused::Database(error) => return error.into(),
            Refused::State(state) => format!("The job is {state}, so that cannot be done to it."),
            Refused::Settled(state) => format!("The effect is {state}: there is nothing to decide."),
            Refused::Happened(id) => {
                format!("It happened: the provider answered that it is {id}. The job records that by itself.")
            }
            refused @ (Refused::OpenEffect
            | Refused::TooLate
            | Refused::StillLooking
            | Refused::RemoteIdTaken
            | Refused::LiveTwin
            | Refused::Children
            | Refused::TooManyChildren
            | Refused::Changing) => words(&refused).to_owned(),
        };
        Self::conflict(code, detail)
    }
}

fn words(refused: &Refused) -> &'static str {
    match refused {
        Refused::OpenEffect => {
            "A call of this job may have happened and is being looked for, or waits for a person to say what became of it: \
             acting now could repeat it. See its effects, and POST /jobs/{id}/effects/{effect_id}/resolve."
        }
        Refused::TooLate => {
            "Too late: a call of this job has left already and cannot be taken back. The job ends by itself with what came \
             of it."
        }
        Refused::StillLooking => {
            "The call is on its way or being looked for right now: try again when the job is suspended and the provider's \
             time to show it is over."
        }
        Refused::RemoteIdTaken => {
            "Another call of that account is known to be remote_id: look again which one is this."
        }
        Refused::LiveTwin => "An unfinished job does the same already: follow that one.",
        Refused::Children => "The job goes on by itself when its children have ended: act on those.",
        Refused::TooManyChildren => {
            "It has more than 1,000 unfinished descendants: cancel those first, by POST /jobs/bulk with a filter of its \
             parent_id."
        }
        Refused::Changing => "The job is changing its state right now: try again.",
        Refused::Missing
        | Refused::NoEffect
        | Refused::Database(_)
        | Refused::State(_)
        | Refused::Settled(_)
        | Refused::Happened(_) => "That cannot be done now.",
    }
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::MissingPosts(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let detail = format!("There are no such posts: {}.", ids.join(", "));
                Self::NotFound(Json(Problem::new(StatusCode::NOT_FOUND, "not_found", detail)))
            }
            ScheduleError::Missing(what) => Self::not_found(what),
            ScheduleError::Empty(id) => Self::conflict(
                "no_caption",
                format!("Post {id} has no caption yet: wait for its calendar to be ready."),
            ),
            ScheduleError::Past(time) => {
                Self::unprocessable("in_the_past", format!("{time} is in the past: name a time in scheduled_at."))
            }
            ScheduleError::Taken(id) => Self::conflict(
                "already_scheduled",
                format!("Post {id} has a delivery on that account already: see GET /tenants/{{id}}/posts."),
            ),
            ScheduleError::Usage(error) => error.into(),
            ScheduleError::Enqueue(error) => error.into(),
            ScheduleError::Database(error) => error.into(),
        }
    }
}

impl From<PictureError> for ApiError {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::TooLarge => Self::TooLarge(Json(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("{error}: shrink it."),
            ))),
            PictureError::Format | PictureError::Unreadable(_) => {
                Self::unprocessable("not_a_picture", format!("{error}: send a JPEG or a PNG."))
            }
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Missing => Self::not_found("file"),
            StorageError::Failed(_) => Self::unavailable("storage", error),
        }
    }
}
