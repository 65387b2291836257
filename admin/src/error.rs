//! Errors as clients see them: `application/problem+json` (RFC 9457). docs/ERRORS.md lists the
//! codes.

mod code;
mod constraints;
mod conversions;
mod framework;

use std::time::Duration;

use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object, payload::Json};

pub(crate) use self::code::ErrorCode;
pub(crate) use self::framework::{from_framework, panic_response};

/// The suggested wait. A server that is away usually comes back within seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// A problem, and what to do about it.
#[derive(Debug, Clone, Object)]
pub struct Problem {
    /// The type of the problem: always `about:blank`, as `code` identifies it.
    r#type: String,
    /// The HTTP status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A stable code for programs.
    code: String,
    /// A sentence for people that says what to do.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.name().to_owned(),
            detail: detail.into(),
        }
    }
}

/// An error that an operation returns.
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
    /// There is no such object, or it belongs to another tenant.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// The body did not arrive in time.
    #[oai(status = 408, content_type = "application/problem+json")]
    TooSlow(Json<Problem>),
    /// The current state does not allow it.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
    /// The same request is still running.
    #[oai(status = 409, content_type = "application/problem+json")]
    InFlight(
        Json<Problem>,
        /// The seconds to wait before looking again, if that helps.
        #[oai(header = "Retry-After")]
        Option<u64>,
    ),
    /// The body, or the picture, is too large.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<Problem>),
    /// The body has a media type that the operation does not take.
    #[oai(status = 415, content_type = "application/problem+json")]
    MediaType(Json<Problem>),
    /// The request can be read, but a value in it is not allowed.
    #[oai(status = 422, content_type = "application/problem+json")]
    Unprocessable(Json<Problem>),
    /// There are too many requests in too short a time.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooMany(
        Json<Problem>,
        /// The seconds to wait before trying again.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// The server has a bug.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<Problem>),
    /// The database or the storage is unavailable, or too many requests of this sort run at once.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<Problem>,
        /// The seconds to wait before trying again.
        #[oai(header = "Retry-After")]
        u64,
    ),
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
            | Self::Unavailable(Json(problem), _) => problem,
        }
    }

    /// Returns true if the error has this code.
    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        self.problem().code == code.name()
    }

    /// Returns the sentence that says what to do.
    pub(crate) fn detail(&self) -> &str {
        &self.problem().detail
    }

    /// Returns the HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn bad_request(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::BadRequest(Json(Problem::new(StatusCode::BAD_REQUEST, code, detail)))
    }

    pub(crate) fn unauthorized() -> Self {
        let detail = "Send an API key or an access token as `Authorization: Bearer ...`. `admin create-operator` makes the first \
                      key, and POST /api/v1/auth/login returns a token.";
        Self::Unauthorized(Json(Problem::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, detail)))
    }

    pub(crate) fn operators_only() -> Self {
        let detail = "This concerns all tenants: use an operator's credentials.";
        Self::forbidden(ErrorCode::OperatorsOnly, detail)
    }

    pub(crate) fn people_only() -> Self {
        let detail = "This needs a person: sign in, and send the access token instead of a key.";
        Self::forbidden(ErrorCode::PeopleOnly, detail)
    }

    pub(crate) fn second_factor_required() -> Self {
        let detail = "This takes a second factor: set up an authenticator app on your account page (or by POST \
                      /api/v1/auth/me/second-factor), and sign in with its code.";
        Self::forbidden(ErrorCode::SecondFactorRequired, detail)
    }

    pub(crate) fn unverified() -> Self {
        let detail = "The address is not confirmed: open the link in the mail. If the last mail is some minutes old, another one was sent.";
        Self::forbidden(ErrorCode::EmailNotVerified, detail)
    }

    pub(crate) fn foreign_form() -> Self {
        let detail = "This form was not sent by one of our pages: open the page again and send it from there.";
        Self::forbidden(ErrorCode::ForeignForm, detail)
    }

    pub(crate) fn owners_only() -> Self {
        let detail = "Only owners of the tenant may do that: ask one of them.";
        Self::forbidden(ErrorCode::OwnersOnly, detail)
    }

    pub(crate) fn wrong_password() -> Self {
        let detail = "The address or the password is wrong.";
        Self::Unauthorized(Json(Problem::new(StatusCode::UNAUTHORIZED, ErrorCode::WrongPassword, detail)))
    }

    pub(crate) fn bad_refresh_token() -> Self {
        let detail = "The refresh token is wrong, used or expired: sign in again.";
        Self::Unauthorized(Json(Problem::new(StatusCode::UNAUTHORIZED, ErrorCode::BadRefreshToken, detail)))
    }

    pub(crate) fn bad_code() -> Self {
        let detail = "The link is wrong, was used, or has expired: ask for a new one.";
        Self::Unprocessable(Json(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::BadCode, detail)))
    }

    pub(crate) fn wrong_code() -> Self {
        let detail = "The code is wrong, was used, or its time is over: wait for the next code of your app.";
        Self::unprocessable(ErrorCode::WrongCode, detail)
    }

    pub(crate) fn last_owner() -> Self {
        Self::conflict(ErrorCode::LastOwner, "A tenant needs at least one owner: make somebody else an owner first.")
    }

    pub(crate) fn last_operator() -> Self {
        let detail = "One operator who may do everything stays: give somebody else that role first.";
        Self::conflict(ErrorCode::LastOwner, detail)
    }

    pub(crate) fn disconnected() -> Self {
        Self::conflict(ErrorCode::Disconnected, "The account is disconnected: connect it again first.")
    }

    pub(crate) fn not_configured(what: &str, setting: &str) -> Self {
        Self::conflict(
            ErrorCode::NotConfigured,
            format!("{what} is not set up here: the operator has to set {setting}."),
        )
    }

    pub(crate) fn too_many_tries(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let detail = format!("There were too many attempts: wait for {seconds} seconds.");
        Self::too_many(ErrorCode::TooManyTries, detail, seconds)
    }

    pub(crate) fn forbidden(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Forbidden(Json(Problem::new(StatusCode::FORBIDDEN, code, detail)))
    }

    pub(crate) fn too_many(code: ErrorCode, detail: impl Into<String>, wait_seconds: u64) -> Self {
        Self::TooMany(Json(Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail)), wait_seconds)
    }

    pub(crate) fn no_tenant() -> Self {
        let detail = "You are in no tenant: make one, or ask somebody to invite you.";
        Self::forbidden(ErrorCode::NoTenant, detail)
    }

    pub(crate) fn missing_permission(needed: &str) -> Self {
        let detail = format!("This needs the permission {needed}.");
        Self::forbidden(ErrorCode::MissingPermission, detail)
    }

    pub(crate) fn not_consumed(detail: impl Into<String>) -> Self {
        Self::not_now(ErrorCode::NotConsumed, detail)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::NotFound(Json(Problem::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            format!("There is no such {what}."),
        )))
    }

    pub(crate) fn conflict(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Conflict(Json(Problem::new(StatusCode::CONFLICT, code, detail)))
    }

    pub(crate) fn unprocessable(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Unprocessable(Json(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)))
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let detail = format!("The body has more than {limit_bytes} bytes: send less.");
        Self::TooLarge(Json(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge, detail)))
    }

    pub(crate) fn encoded() -> Self {
        let detail = "Content-Encoding: send the body as it is, not compressed.";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::MediaType(Json(Problem::new(status, ErrorCode::UnsupportedMediaType, detail)))
    }

    pub(crate) fn too_slow() -> Self {
        let detail = "The body did not arrive in time: send it again.";
        Self::TooSlow(Json(Problem::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::TooSlow, detail)))
    }

    pub(crate) fn rate_limited(wait_seconds: u64) -> Self {
        let detail =
            format!("Too many requests: try again in {wait_seconds} seconds. The header RateLimit shows what is left.");
        Self::TooMany(Json(Problem::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, detail)), wait_seconds)
    }

    pub(crate) fn in_flight() -> Self {
        let detail = "A request with this Idempotency-Key is running: send it again in a moment for its response.";
        Self::InFlight(Json(Problem::new(StatusCode::CONFLICT, ErrorCode::IdempotencyInFlight, detail)), Some(1))
    }

    pub(crate) fn took_too_long() -> Self {
        let detail = "This took too long and was stopped. Check whether it had an effect before you try again.";
        Self::not_now(ErrorCode::TookTooLong, detail)
    }

    /// The database gave a statement up. Nothing of the request was committed.
    pub(crate) fn too_much_work() -> Self {
        let detail = "This took too long, and nothing was changed. Ask for less at once: name a tenant, a state or a \
                      shorter time, or search for a whole word.";
        Self::not_now(ErrorCode::TookTooLong, detail)
    }

    /// Returns the error for a commit whose outcome is unknown, as the database's response was
    /// lost.
    pub(crate) fn unclear(cause: impl std::error::Error) -> Self {
        tracing::warn!(causes = chain(&cause), "a commit got no response");
        let detail = "The database went away during the commit, so the request may have had its effect. Repeat it with the \
                      same Idempotency-Key. If it had no key, check its effect first.";
        Self::not_now(ErrorCode::Unavailable, detail)
    }

    pub(crate) fn origin_not_listed() -> Self {
        let detail =
            "Pages of this origin may not call the API: its operator lists the origins that may in CORS_ORIGINS.";
        Self::forbidden(ErrorCode::OriginNotListed, detail)
    }

    /// Logs the cause and hides it from the client.
    pub(crate) fn internal(cause: impl std::error::Error) -> Self {
        tracing::error!(causes = chain(&cause), "a request failed");
        let detail =
            "Something failed on our side. Try again. If it happens again, tell the operator when it happened.";
        Self::Internal(Json(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, detail)))
    }

    pub(crate) fn too_many_streams() -> Self {
        let detail = "Too many event streams are open: try again in a moment, or get the job itself.";
        Self::not_now(ErrorCode::TooManyStreams, detail)
    }

    /// Returns the error of a process that has no room for the request now.
    pub(crate) fn busy() -> Self {
        Self::not_now(ErrorCode::Busy, "The server is busy: try again in a few seconds.")
    }

    fn not_now(code: ErrorCode, detail: impl Into<String>) -> Self {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self::Unavailable(Json(problem), RETRY_AFTER_SECONDS)
    }

    pub(crate) fn unavailable(what: &str, cause: impl std::error::Error) -> Self {
        tracing::warn!(what, causes = chain(&cause), "a request failed");
        let detail = format!("The {what} does not respond: try again in a moment.");
        Self::not_now(ErrorCode::Unavailable, detail)
    }
}

/// Returns an error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes.join(": ")
}
