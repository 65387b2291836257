//! Changing the password and the address, and the sessions of the caller.

#![expect(clippy::disallowed_methods, reason = "what concerns signing in takes no Idempotency-Key")]

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    ids::SessionId,
    people::{
        ChangePasswordError,
        change_address::{self, ChangeAddressError, Confirmed},
        change_password, sessions,
    },
};
use poem::Request;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use super::{MailView, acting, address, count_client, evenly, origin, require_mail};
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// A new password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewPasswordBody {
    /// The current password. Absent for people who have none; they sign in again first.
    #[oai(validator(max_length = 200))]
    current_password: Option<String>,
    /// The new password: 10 characters or more, and not easy to guess.
    #[oai(validator(max_length = 200))]
    password: String,
}

/// A new address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewAddressBody {
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    email: String,
    /// The current password. Absent for people who have none; they sign in again first.
    #[oai(validator(max_length = 200))]
    password: Option<String>,
}

/// The code of a link about a change of address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AddressCodeBody {
    #[oai(validator(max_length = 100))]
    code: String,
}

/// The state of a change of address.
#[derive(Debug, Object)]
struct AddressChangeView {
    /// True if the address has changed; false if the other mailbox has to confirm it too.
    is_done: bool,
}

/// A session: a person who is signed in, in one browser or program.
#[derive(Debug, Object)]
#[oai(rename = "Session")]
struct SessionView {
    id: Uuid,
    /// True for the session of this request.
    is_current: bool,
    /// True for a browser, false for a program.
    is_browser: bool,
    /// The name that the browser or program gave itself when it signed in.
    user_agent: Option<String>,
    /// The address that it signed in from.
    remote_address: Option<String>,
    created_at: DateTime<Utc>,
    /// The time of the last use, to the minute.
    last_used_at: Option<DateTime<Utc>>,
    /// The time at which it ends if it is not used.
    expires_at: DateTime<Utc>,
}

/// The sessions of a person.
#[derive(Debug, Object)]
struct SessionList {
    items: Vec<SessionView>,
}

#[derive(ApiResponse)]
enum Done {
    /// It is done.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum LettersSent {
    /// Both addresses get a mail with a link, if the new one has no account.
    #[oai(status = 202)]
    Sent(Json<MailView>),
}

pub(crate) struct AccountApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::People")]
impl AccountApi {
    /// Change the password, or choose a first one.
    ///
    /// All other sessions of the person end, and a letter tells the person.
    #[oai(path = "/me/password", method = "post", operation_id = "change_password")]
    async fn change_password(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        request: &Request,
        body: Body<NewPasswordBody>,
    ) -> Result<Done, ApiError> {
        let (person, from, state) = (caller.person()?, origin(request), &self.state);
        let NewPasswordBody { current_password, password } = body.0;
        let (db, current) = (state.db.unkeyed(), current_password.map(Into::into));
        change_password(db, &state.services, acting(person, &from), current, password.into()).await?;
        Ok(Done::Done)
    }

    /// Change the address.
    ///
    /// It changes once the links in two letters were opened, one in each mailbox. Sessions go on.
    #[oai(path = "/me/email", method = "post", operation_id = "change_email")]
    async fn change_email(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        request: &Request,
        body: Body<NewAddressBody>,
    ) -> Result<LettersSent, ApiError> {
        let (person, from, state) = (caller.person()?, origin(request), &self.state);
        let (new, password) = (address(&body.email)?, body.0.password.map(Into::into));
        require_mail(state)?;
        let db = state.db.unkeyed();
        evenly(change_address::request(db, &state.services, acting(person, &from), password, &new)).await?;
        let next = "Open the links in the two mails: one goes to each address.".to_owned();
        Ok(LettersSent::Sent(Json(MailView { next })))
    }

    /// Confirm a change of address, by the code at the end of a mailed link. Open to everybody.
    #[oai(path = "/confirm-address", method = "post", operation_id = "confirm_address")]
    async fn confirm_address(
        &self,
        request: &Request,
        body: Body<AddressCodeBody>,
    ) -> Result<Json<AddressChangeView>, ApiError> {
        let state = &self.state;
        count_client(state, request).await?;
        let from = origin(request).remote_address;
        let confirmed = change_address::confirm(state.db.unkeyed(), &state.services, &body.code, from).await?;
        Ok(Json(AddressChangeView { is_done: confirmed == Confirmed::Done }))
    }

    /// List the caller's sessions, those used last first.
    #[oai(path = "/me/sessions", method = "get", operation_id = "list_sessions")]
    async fn list_sessions(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
    ) -> Result<Json<SessionList>, ApiError> {
        let person = caller.person()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let rows = sessions::list(&mut tx, person.user_id).await?;
        let view = |row: sessions::SessionRow| SessionView {
            id: row.id.0,
            is_current: row.id == person.session_id,
            is_browser: row.is_browser,
            user_agent: row.user_agent,
            remote_address: row.remote_address,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        };
        Ok(Json(SessionList { items: rows.into_iter().map(view).collect() }))
    }

    /// End one of the caller's sessions.
    #[oai(path = "/me/sessions/:id", method = "delete", operation_id = "end_session")]
    async fn end_session(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Done, ApiError> {
        let (person, id) = (caller.person()?, SessionId(id.0));
        let mut tx = self.state.db.unkeyed().system().await?;
        let ended =
            sessions::end_one(&mut tx, &self.state.services.keyring, caller.actor(), person.user_id, id).await?;
        if !ended {
            return Err(ApiError::not_found("session"));
        }
        tx.commit().await?;
        Ok(Done::Done)
    }

    /// End all sessions of the caller but this one.
    #[oai(path = "/me/sessions", method = "delete", operation_id = "end_other_sessions")]
    async fn end_other_sessions(&self, #[oai(scope = "Needs::Person")] caller: Caller) -> Result<Done, ApiError> {
        let person = caller.person()?;
        let mut tx = self.state.db.unkeyed().system().await?;
        let (keyring, actor) = (&self.state.services.keyring, caller.actor());
        sessions::end_others(&mut tx, keyring, actor, person.user_id, person.session_id).await?;
        tx.commit().await?;
        Ok(Done::Done)
    }
}

impl From<ChangePasswordError> for ApiError {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Reauth(error) => error.into(),
            ChangePasswordError::Weak(error) => error.into(),
            ChangePasswordError::Database(error) => error.into(),
        }
    }
}

impl From<ChangeAddressError> for ApiError {
    fn from(error: ChangeAddressError) -> Self {
        match error {
            ChangeAddressError::Reauth(error) => error.into(),
            ChangeAddressError::Same => Self::unprocessable(ErrorCode::NoChange, "email is your address already."),
            ChangeAddressError::Code => Self::bad_code(),
            ChangeAddressError::Taken => {
                Self::conflict(ErrorCode::AddressTaken, "Somebody else has an account with that address: use another.")
            }
            ChangeAddressError::Letter(error) => error.into(),
        }
    }
}
