//! Operators who help people that cannot help themselves.

use jobs::{
    engine::Scope,
    ids::UserId,
    people::{second_factor, sessions},
};
use poem_openapi::{ApiResponse, OpenApi, param::Path};
use uuid::Uuid;

use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    state::AppState,
};

#[derive(ApiResponse)]
enum SignedOut {
    /// The person is signed out everywhere.
    #[oai(status = 204)]
    SignedOut,
}

pub(crate) struct StaffApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1/people", tag = "Tag::People")]
impl StaffApi {
    /// Remove the second factor of somebody who has lost it. For operators.
    ///
    /// The person is signed out everywhere and gets a letter. Make sure who asks before you do it.
    /// People remove their own with a code.
    #[oai(path = "/:id/second-factor", method = "delete", operation_id = "reset_second_factor")]
    async fn reset(
        &self,
        #[oai(scope = "Needs::OperatorsWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<SignedOut>, ApiError> {
        caller.operator()?;
        if caller.person().is_ok_and(|person| person.user_id.0 == id.0) {
            let detail = "Your own second factor is removed with a code: POST /api/v1/auth/me/second-factor/remove.";
            return Err(ApiError::conflict(ErrorCode::WrongState, detail));
        }
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let keyring = &self.state.services.keyring;
        if !second_factor::reset(&mut tx, keyring, caller.actor(), UserId(id.0)).await? {
            return Err(ApiError::not_found("second factor"));
        }
        tx.answer(SignedOut::SignedOut).await
    }

    /// Sign somebody out everywhere. For operators.
    #[oai(path = "/:id/sessions", method = "delete", operation_id = "end_sessions_of")]
    async fn end_sessions(
        &self,
        #[oai(scope = "Needs::OperatorsWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<SignedOut>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let keyring = &self.state.services.keyring;
        if !sessions::end_all_of(&mut tx, keyring, caller.actor(), UserId(id.0)).await? {
            return Err(ApiError::not_found("person"));
        }
        tx.answer(SignedOut::SignedOut).await
    }
}
