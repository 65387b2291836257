//! Refusals of the layers below, as clients see them.

use jobs::{
    assets::{PictureError, StorageError},
    engine::{EnqueueError, ledger::ActionError},
    posts::ScheduleError,
    providers::NotOffered,
};
use poem::http::StatusCode;
use poem_openapi::payload::Json;

use super::{ApiError, ErrorCode, Problem, constraints};

impl ApiError {
    /// Returns the error for a failed commit. Unless the database reported the failure, the commit
    /// may have happened.
    pub(crate) fn of_commit(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| !code.starts_with("57") && !code.starts_with("08")) {
            error.into()
        } else {
            Self::unclear(error)
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        if code.starts_with("22") {
            let detail =
                "A value cannot be stored: send texts without NUL characters, and times between the years 0 and 9999.";
            return Self::unprocessable(ErrorCode::BadValue, detail);
        }
        // A statement that was cancelled by its time limit.
        if code == "57014" {
            tracing::warn!(causes = super::chain(&error), "a request took too long");
            return Self::too_much_work();
        }
        let is_away = ["08", "25P03", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))
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
            EnqueueError::ParentCancelled => Self::conflict(
                ErrorCode::ParentCancelled,
                "Somebody asked to cancel the parent, so it can have no new children.",
            ),
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

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        let code = code_of(&error);
        let detail = match error {
            ActionError::Missing => return Self::not_found("job"),
            ActionError::NoEffect => return Self::not_found("effect"),
            ActionError::Database(error) => return error.into(),
            ActionError::State(state) => format!("The job is {state}, which does not allow that."),
            ActionError::Settled(state) => format!("The effect is {state}, so nothing is left to decide."),
            ActionError::Happened(id) => {
                format!("The provider confirmed the call with the id {id}. The job records that by itself.")
            }
            refused @ (ActionError::OpenEffect
            | ActionError::TooLate
            | ActionError::StillLooking
            | ActionError::NotLookedFor
            | ActionError::NotTwoClaims
            | ActionError::RemoteIdTaken
            | ActionError::LiveTwin
            | ActionError::Children
            | ActionError::TooManyChildren
            | ActionError::Changing) => words(&refused).to_owned(),
        };
        Self::conflict(code, detail)
    }
}

fn code_of(refused: &ActionError) -> ErrorCode {
    match refused {
        ActionError::Missing | ActionError::NoEffect => ErrorCode::NotFound,
        ActionError::OpenEffect => ErrorCode::OutcomeUnknown,
        ActionError::TooLate => ErrorCode::TooLate,
        ActionError::Settled(_) => ErrorCode::EffectSettled,
        ActionError::Happened(_) => ErrorCode::EffectHappened,
        ActionError::StillLooking => ErrorCode::StillLooking,
        ActionError::NotLookedFor => ErrorCode::NotLookedFor,
        ActionError::NotTwoClaims => ErrorCode::NotTwoClaims,
        ActionError::RemoteIdTaken => ErrorCode::RemoteIdTaken,
        ActionError::State(_) => ErrorCode::WrongState,
        ActionError::LiveTwin => ErrorCode::LiveTwin,
        ActionError::Children => ErrorCode::ChildrenUnfinished,
        ActionError::TooManyChildren => ErrorCode::TooManyChildren,
        ActionError::Changing => ErrorCode::StateChanging,
        ActionError::Database(_) => ErrorCode::Internal,
    }
}

fn words(refused: &ActionError) -> &'static str {
    match refused {
        ActionError::OpenEffect => {
            "A call of this job may have happened, so acting now could repeat it. Wait until Linecook has found it, or resolve \
             it by POST /jobs/{id}/effects/{effect_id}/resolve."
        }
        ActionError::TooLate => {
            "Too late: a call of this job has left and cannot be taken back. The job ends by itself with the call's result."
        }
        ActionError::StillLooking => {
            "The call is on its way, or Linecook is looking for it: try again when the job is suspended and the provider's \
             time to show the call is over."
        }
        ActionError::NotLookedFor => {
            "Many calls can be resolved at once only after three complete looks that found nothing like them. Look at the \
             account, and resolve this call by itself."
        }
        ActionError::NotTwoClaims => "Both calls have to be confirmed and on the same account: look at their effects.",
        ActionError::RemoteIdTaken => "remote_id belongs to another known call of the account: check the id.",
        ActionError::LiveTwin => "An unfinished job does the same already: follow that job.",
        ActionError::Children => "The job goes on by itself when its children have ended: act on the children.",
        ActionError::TooManyChildren => {
            "The job has more than 1,000 unfinished descendants: cancel those first, by POST /jobs/bulk with a filter of \
             parent_id."
        }
        ActionError::Changing => "The job is changing its state right now: try again.",
        ActionError::Missing
        | ActionError::NoEffect
        | ActionError::Database(_)
        | ActionError::State(_)
        | ActionError::Settled(_)
        | ActionError::Happened(_) => "That cannot be done now.",
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
                format!("{time} is in the past: send a later time in scheduled_at."),
            ),
            ScheduleError::Taken(id) => Self::conflict(
                ErrorCode::AlreadyScheduled,
                format!("Post {id} has a delivery on that account already: see GET /tenants/{{id}}/posts."),
            ),
            ScheduleError::Disconnected => Self::disconnected(),
            ScheduleError::Usage(error) => error.into(),
            ScheduleError::Enqueue(error) => error.into(),
            ScheduleError::Database(error) => error.into(),
        }
    }
}

impl From<PictureError> for ApiError {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::TooLarge | PictureError::TooManyPixels => Self::TooLarge(Json(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::TooLarge,
                format!("file: {error}; shrink it."),
            ))),
            PictureError::Format | PictureError::Unreadable(_) => {
                Self::unprocessable(ErrorCode::NotAPicture, format!("file: {error}; send a JPEG or a PNG."))
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
