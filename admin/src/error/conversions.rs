//! What layers below refuse, as clients see it.

use jobs::{
    assets::{PictureError, StorageError},
    engine::{EnqueueError, ledger::Refused},
    posts::ScheduleError,
    providers::NotOffered,
};
use poem::http::StatusCode;
use poem_openapi::payload::Json;

use super::{ApiError, ErrorCode, Problem, constraints};

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        if code.starts_with("22") {
            let detail = "A value cannot be stored: texts without NUL characters, times between the years 0 and 9999.";
            return Self::unprocessable(ErrorCode::BadValue, detail);
        }
        let is_away = ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))
            || matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
        let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        match constraint.and_then(constraints::missing) {
            _ if is_away => Self::unavailable("database", error),
            Some(what) => Self::not_found(what),
            None => Self::internal(error),
        }
    }
}

impl From<EnqueueError> for ApiError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Suspended { job_id, suspended_on } => Self::conflict(
                ErrorCode::JobSuspended,
                format!("Job {job_id} does the same and waits on {suspended_on}: retry or cancel that one."),
            ),
            EnqueueError::ParentCancelled => {
                Self::conflict(ErrorCode::ParentCancelled, "The parent is to be cancelled.")
            }
            EnqueueError::Database(error) => error.into(),
        }
    }
}

impl From<NotOffered> for ApiError {
    fn from(error: NotOffered) -> Self {
        match error {
            NotOffered::Unknown(_) | NotOffered::Unsupported(_) => Self::not_found("provider"),
            NotOffered::NotConfigured { provider, setting } => Self::not_configured(provider.label(), setting),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(error: Refused) -> Self {
        let code = code_of(&error);
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
            | Refused::NotLookedFor
            | Refused::NotTwoClaims
            | Refused::RemoteIdTaken
            | Refused::LiveTwin
            | Refused::Children
            | Refused::TooManyChildren
            | Refused::Changing) => words(&refused).to_owned(),
        };
        Self::conflict(code, detail)
    }
}

fn code_of(refused: &Refused) -> ErrorCode {
    match refused {
        Refused::Missing | Refused::NoEffect => ErrorCode::NotFound,
        Refused::OpenEffect => ErrorCode::OutcomeUnknown,
        Refused::TooLate => ErrorCode::TooLate,
        Refused::Settled(_) => ErrorCode::EffectSettled,
        Refused::Happened(_) => ErrorCode::EffectHappened,
        Refused::StillLooking => ErrorCode::StillLooking,
        Refused::NotLookedFor => ErrorCode::NotLookedFor,
        Refused::NotTwoClaims => ErrorCode::NotTwoClaims,
        Refused::RemoteIdTaken => ErrorCode::RemoteIdTaken,
        Refused::State(_) => ErrorCode::WrongState,
        Refused::LiveTwin => ErrorCode::LiveTwin,
        Refused::Children => ErrorCode::ChildrenUnfinished,
        Refused::TooManyChildren => ErrorCode::TooManyChildren,
        Refused::Changing => ErrorCode::StateChanging,
        Refused::Database(_) => ErrorCode::Internal,
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
        Refused::NotLookedFor => {
            "The call has to be read back completely three times after the provider's time to show it, with nothing there that \
             may be it: look at the account, and resolve it by itself."
        }
        Refused::NotTwoClaims => "Both calls have to be confirmed ones on the same account: see their effects.",
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
                Self::NotFound(Json(Problem::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, detail)))
            }
            ScheduleError::Empty(id) => Self::conflict(
                ErrorCode::NoCaption,
                format!("Post {id} has no caption yet: wait for its calendar to be ready."),
            ),
            ScheduleError::Past(time) => Self::unprocessable(
                ErrorCode::InThePast,
                format!("{time} is in the past: name a time in scheduled_at."),
            ),
            ScheduleError::Taken(id) => Self::conflict(
                ErrorCode::AlreadyScheduled,
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
                ErrorCode::TooLarge,
                format!("{error}: shrink it."),
            ))),
            PictureError::Format | PictureError::Unreadable(_) => {
                Self::unprocessable(ErrorCode::NotAPicture, format!("{error}: send a JPEG or a PNG."))
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
