//! What layers below refuse, as clients see it.

use jobs::{
    assets::{PictureError, StorageError},
    engine::{EnqueueError, ledger::ActionError},
    posts::ScheduleError,
};
use poem::http::StatusCode;
use poem_openapi::payload::Json;

use super::{ApiError, Problem};

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

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        let code = error.code();
        let detail = match error {
            ActionError::Missing => return Self::not_found("job"),
            ActionError::NoEffect => return Self::not_found("effect"),
            ActionError::Database(error) => return error.into(),
            ActionError::State(state) => format!("The job is {state}, so that cannot be done to it."),
            ActionError::Settled(state) => format!("The effect is {state}: there is nothing to decide."),
            ActionError::Happened(id) => {
                format!("It happened: the provider answered that it is {id}. The job records that by itself.")
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

fn words(refused: &ActionError) -> &'static str {
    match refused {
        ActionError::OpenEffect => {
            "A call of this job may have happened and is being looked for, or waits for a person to say what became of it: \
             acting now could repeat it. See its effects, and POST /jobs/{id}/effects/{effect_id}/resolve."
        }
        ActionError::TooLate => {
            "Too late: a call of this job has left already and cannot be taken back. The job ends by itself with what came \
             of it."
        }
        ActionError::StillLooking => {
            "The call is on its way or being looked for right now: try again when the job is suspended and the provider's \
             time to show it is over."
        }
        ActionError::NotLookedFor => {
            "The call has to be read back completely three times after the provider's time to show it, with nothing there that \
             may be it: look at the account, and resolve it by itself."
        }
        ActionError::NotTwoClaims => "Both calls have to be confirmed ones on the same account: see their effects.",
        ActionError::RemoteIdTaken => {
            "Another call of that account is known to be remote_id: look again which one is this."
        }
        ActionError::LiveTwin => "An unfinished job does the same already: follow that one.",
        ActionError::Children => "The job goes on by itself when its children have ended: act on those.",
        ActionError::TooManyChildren => {
            "It has more than 1,000 unfinished descendants: cancel those first, by POST /jobs/bulk with a filter of its \
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
