//! The refusals of requests about tenants.

use jobs::tenants::{
    CreateError, UpdateError,
    erasure::ErasureError,
    settings::BadSetting,
    usage::{Reached, UsageError},
};

use crate::{ApiError, error::ErrorCode};

pub(super) fn plan_by_operators() -> ApiError {
    ApiError::forbidden(
        ErrorCode::PlanByOperators,
        "Only operators give a tenant another plan than basic: leave plan out.",
    )
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::TooMany(most) => Self::forbidden(
                ErrorCode::TooManyTenants,
                format!(
                    "You own {most} tenants, which is the most: erase one, or ask an operator to make the new one."
                ),
            ),
            CreateError::NoModel => Self::not_found("tenant"),
            CreateError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateError> for ApiError {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Missing => Self::not_found("tenant"),
            UpdateError::Setting(BadSetting { field, rule }) => {
                Self::unprocessable(ErrorCode::BadSetting, format!("{field}: it should be {rule}."))
            }
            UpdateError::Database(error) => error.into(),
        }
    }
}

impl From<ErasureError> for ApiError {
    fn from(error: ErasureError) -> Self {
        match error {
            ErasureError::Missing => Self::not_found("tenant"),
            ErasureError::NotConfirmed => {
                Self::unprocessable(ErrorCode::NotConfirmed, "confirm: it should be the tenant's name, to the letter.")
            }
            ErasureError::OwnersOnly => Self::owners_only(),
            ErasureError::Enqueue(error) => error.into(),
            ErasureError::Database(error) => error.into(),
        }
    }
}

impl From<UsageError> for ApiError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::Reached(reached) => reached.into(),
            UsageError::NoTenant => Self::not_found("tenant"),
            UsageError::Database(error) => error.into(),
        }
    }
}

impl From<Reached> for ApiError {
    fn from(reached: Reached) -> Self {
        let allowed = format!("The plan {} allows {} {}", reached.plan.name(), reached.limit, reached.limited.words());
        match reached.again {
            Some((time, wait_seconds)) => {
                let detail = format!("{allowed}, and this would be more. There is room again from {time} on.");
                Self::too_many(ErrorCode::LimitReached, detail, wait_seconds)
            }
            None => Self::forbidden(
                ErrorCode::PlanLimit,
                format!("{allowed}, and all of them are used: ask for a larger plan."),
            ),
        }
    }
}
