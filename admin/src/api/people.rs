//! People: registering, signing in, and their profiles.

mod account;
mod me;
mod members;
mod operators;
mod second_factor;
mod sessions;
mod sign_up;
mod staff;

use std::time::Duration;

use jobs::people::{
    Address, BadAddress, SignUp,
    password::WeakPassword,
    reauthenticate::{Acting, ReauthError},
    sign_in::{ClientOrigin, SignInError},
    throttle::Throttled,
};
use poem::{Request, http::header};
use poem_openapi::Object;
use tokio::time::Instant;

pub(crate) use self::{
    account::AccountApi,
    me::MeApi,
    members::MembersApi,
    operators::{OperatorsApi, check_reach as check_operator_reach, check_reach_of as check_reach_of_operator},
    second_factor::SecondFactorApi,
    sessions::SessionsApi,
    sign_up::{SignUpApi, count_client},
    staff::StaffApi,
};
use crate::{
    ApiError,
    auth::{Client, Person},
    error::ErrorCode,
    http::cookies,
    state::AppState,
};

/// The least time of a response about an address, so that the time does not reveal known addresses.
const EVEN: Duration = Duration::from_millis(400);

/// Notice that a mail is on its way, if the address is one that gets it.
#[derive(Debug, Object)]
pub(crate) struct MailView {
    /// The next step for the person.
    next: String,
}

impl MailView {
    fn sent() -> Self {
        Self { next: "Open the link in the mail that was sent to the address.".to_owned() }
    }
}

/// Returns the origin of a request.
pub(crate) fn origin(request: &Request) -> ClientOrigin {
    let client = request.extensions().get::<Client>().copied().unwrap_or_default();
    ClientOrigin {
        counted_as: client.counted_as(),
        network: client.network(),
        known_as: request.data().and_then(|state| cookies::read(request.cookie(), state, cookies::KNOWN_CLIENT)),
        remote_address: client.address(),
        user_agent: request.header(header::USER_AGENT).map(str::to_owned),
    }
}

/// Returns who acts, for changes of how somebody signs in.
pub(crate) fn acting(person: Person, from: &ClientOrigin) -> Acting<'_> {
    Acting { user_id: person.user_id, session_id: person.session_id, from }
}

/// Delays a response until it takes as long as others do.
pub(crate) async fn evenly<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = work.await;
    tokio::time::sleep_until(begun + EVEN).await;
    result
}

/// Reads an address that mail can be sent to.
pub(crate) fn address(email: &str) -> Result<Address, ApiError> {
    Ok(Address::parse(email)?)
}

impl From<BadAddress> for ApiError {
    fn from(_: BadAddress) -> Self {
        let detail = "email should look like name@example.com, with only ASCII letters before the @.";
        Self::unprocessable(ErrorCode::BadEmail, detail)
    }
}

/// Refuses an operation that begins with a mail, if no mail server is set up.
pub(crate) fn require_mail(state: &AppState) -> Result<(), ApiError> {
    let is_set_up = state.services.mail.is_configured();
    if is_set_up { Ok(()) } else { Err(ApiError::not_configured("Mail", "SMTP_URL and MAIL_FROM")) }
}

impl From<SignUp> for ApiError {
    /// Returns the refusal for somebody who may not make an account.
    fn from(sign_up: SignUp) -> Self {
        let detail = match sign_up {
            SignUp::Open | SignUp::Invited => {
                "Accounts are made by invitation here: have somebody invite your address."
            }
            SignUp::Closed => "No new accounts are made here: ask the operator.",
        };
        Self::forbidden(ErrorCode::SignUpClosed, detail)
    }
}

impl From<WeakPassword> for ApiError {
    fn from(error: WeakPassword) -> Self {
        Self::unprocessable(ErrorCode::WeakPassword, error.to_string())
    }
}

impl From<Throttled> for ApiError {
    fn from(error: Throttled) -> Self {
        match error {
            Throttled::TooMany(wait) => Self::too_many_tries(wait),
            Throttled::Database(error) => error.into(),
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::wrong_password(),
            SignInError::Unverified => Self::unverified(),
            SignInError::TooMany(wait) => Self::too_many_tries(wait),
            SignInError::WrongCode => Self::wrong_code(),
            SignInError::Expired => Self::unprocessable(
                ErrorCode::SignInExpired,
                "This sign-in waited for its code for too long, or was finished: sign in again.",
            ),
            SignInError::Secret(error) => Self::internal(error),
            SignInError::Database(error) => error.into(),
        }
    }
}

impl From<ReauthError> for ApiError {
    fn from(error: ReauthError) -> Self {
        match error {
            ReauthError::Wrong => {
                Self::forbidden(ErrorCode::PasswordNeeded, "password should be your current password.")
            }
            ReauthError::NotRecent => {
                let detail = "You have no password, so this takes a sign-in of the last ten minutes: sign in again.";
                Self::forbidden(ErrorCode::SignInAgain, detail)
            }
            ReauthError::SignedOut => Self::unauthorized(),
            ReauthError::TooMany(wait) => Self::too_many_tries(wait),
            ReauthError::Database(error) => error.into(),
        }
    }
}
