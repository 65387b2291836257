//! The second factor: setting it up, new recovery codes, and removing it.

#![expect(clippy::disallowed_methods, reason = "what concerns signing in takes no Idempotency-Key")]

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    people::second_factor::{self, FactorError, Proof},
};
use poem::Request;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use secrecy::ExposeSecret as _;

use super::{acting, origin};
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// The current password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct PasswordBody {
    /// Absent for people who have no password; they sign in again first.
    #[oai(validator(max_length = 200))]
    password: Option<String>,
}

/// A code of an app that is being set up.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct ConfirmBody {
    /// Six digits of the authenticator app.
    #[oai(validator(max_length = 60))]
    code: String,
}

/// The current password and a code.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct ProofBody {
    /// Absent for people who have no password; they sign in again first.
    #[oai(validator(max_length = 200))]
    password: Option<String>,
    /// Six digits of the authenticator app, or a recovery code.
    #[oai(validator(max_length = 60))]
    code: String,
}

impl From<ProofBody> for Proof {
    fn from(body: ProofBody) -> Self {
        Self { password: body.password.map(Into::into), code: body.code }
    }
}

/// A person's second factor.
#[derive(Debug, Object)]
struct SecondFactorView {
    /// The time since when it is in use. Absent if there is none.
    confirmed_at: Option<DateTime<Utc>>,
    /// The number of recovery codes that were not used.
    recovery_codes_left: i64,
    /// True if the person is an operator, or in a tenant that requires it.
    is_required: bool,
}

/// A secret for an authenticator app, shown once.
#[derive(Debug, Object)]
struct EnrolmentView {
    /// The secret in base32, to type into an app.
    secret: String,
    /// The same for a QR code: `otpauth://totp/...`.
    otpauth_url: String,
}

/// Recovery codes, shown once. Each is good for one use.
#[derive(Debug, Object)]
struct RecoveryCodesView {
    recovery_codes: Vec<String>,
}

#[derive(ApiResponse)]
enum Removed {
    /// There is no second factor any more.
    #[oai(status = 204)]
    Removed,
}

pub(crate) struct SecondFactorApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::People")]
impl SecondFactorApi {
    /// Get the caller's second factor.
    #[oai(path = "/auth/me/second-factor", method = "get", operation_id = "get_second_factor")]
    async fn get(&self, #[oai(scope = "Needs::Person")] caller: Caller) -> Result<Json<SecondFactorView>, ApiError> {
        let person = caller.person()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let standing = second_factor::get_standing(&mut tx, person.user_id).await?;
        Ok(Json(SecondFactorView {
            confirmed_at: standing.confirmed_at,
            recovery_codes_left: standing.recovery_codes_left,
            is_required: standing.is_required,
        }))
    }

    /// Begin to set up an authenticator app as a second factor.
    ///
    /// It protects nothing until `POST /auth/me/second-factor/confirm` gets one of its codes.
    /// Another call makes another secret.
    #[oai(path = "/auth/me/second-factor", method = "post", operation_id = "begin_second_factor")]
    async fn begin(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        request: &Request,
        body: Body<PasswordBody>,
    ) -> Result<Json<EnrolmentView>, ApiError> {
        let (person, from, state) = (caller.person()?, origin(request), &self.state);
        let password = body.0.password.map(Into::into);
        let who = acting(person, &from);
        let begun = second_factor::begin(state.db.unkeyed(), &state.services, who, password).await?;
        Ok(Json(EnrolmentView {
            secret: begun.secret.expose_secret().to_owned(),
            otpauth_url: begun.url.expose_secret().to_owned(),
        }))
    }

    /// Put the second factor into use by a code of the app.
    ///
    /// All other sessions of the person end. The recovery codes are shown this once.
    #[oai(path = "/auth/me/second-factor/confirm", method = "post", operation_id = "confirm_second_factor")]
    async fn confirm(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        request: &Request,
        body: Body<ConfirmBody>,
    ) -> Result<Json<RecoveryCodesView>, ApiError> {
        let (person, from, state) = (caller.person()?, origin(request), &self.state);
        let who = acting(person, &from);
        let recovery_codes = second_factor::confirm(state.db.unkeyed(), &state.services, who, &body.code).await?;
        Ok(Json(RecoveryCodesView { recovery_codes }))
    }

    /// Make new recovery codes.
    ///
    /// The old ones are void.
    #[oai(path = "/auth/me/second-factor/recovery-codes", method = "post", operation_id = "renew_recovery_codes")]
    async fn renew(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        request: &Request,
        body: Body<ProofBody>,
    ) -> Result<Json<RecoveryCodesView>, ApiError> {
        let (person, from, state) = (caller.person()?, origin(request), &self.state);
        let (db, who) = (state.db.unkeyed(), acting(person, &from));
        let recovery_codes = second_factor::renew_recovery_codes(db, &state.services, who, body.0.into()).await?;
        Ok(Json(RecoveryCodesView { recovery_codes }))
    }

    /// Remove the second factor.
    ///
    /// All other sessions of the person end. Operators, and people of a tenant that requires a
    /// second factor, have no access until they set up another one.
    #[oai(path = "/auth/me/second-factor/remove", method = "post", operation_id = "remove_second_factor")]
    async fn remove(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        request: &Request,
        body: Body<ProofBody>,
    ) -> Result<Removed, ApiError> {
        let (person, from, state) = (caller.person()?, origin(request), &self.state);
        let (db, who) = (state.db.unkeyed(), acting(person, &from));
        second_factor::remove(db, &state.services, who, body.0.into()).await?;
        Ok(Removed::Removed)
    }
}

impl From<FactorError> for ApiError {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Wrong => Self::wrong_code(),
            FactorError::Exists => Self::conflict(
                ErrorCode::SecondFactorExists,
                "You have a second factor already: remove it before you set up another.",
            ),
            FactorError::Missing => Self::conflict(
                ErrorCode::NoSecondFactor,
                "There is no second factor, or setting one up has not begun: POST /api/v1/auth/me/second-factor.",
            ),
            FactorError::Reauth(error) => error.into(),
            FactorError::Secret(error) => Self::internal(error),
            FactorError::Database(error) => error.into(),
        }
    }
}
