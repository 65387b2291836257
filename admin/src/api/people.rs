//! People: registering, signing in, and their profiles.

mod me;
mod members;
mod sessions;
mod sign_up;

use std::time::Duration;

use jobs::people::{
    self, password,
    sign_in::{ClientOrigin, SignInError},
};
use poem::Request;
use poem_openapi::Object;
use secrecy::SecretString;
use tokio::time::Instant;

pub(crate) use self::{
    me::MeApi,
    members::MembersApi,
    sessions::SessionsApi,
    sign_up::{SignUpApi, count_client},
};
use crate::{ApiError, auth::Client, error::ErrorCode};

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
    ClientOrigin { counted_as: client.counted_as(), remote_address: client.address() }
}

/// Delays a response until it takes as long as others do.
pub(crate) async fn evenly<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = work.await;
    tokio::time::sleep_until(begun + EVEN).await;
    result
}

/// Refuses a text that cannot be an address. Only a mail shows if it really is one.
pub(crate) fn is_address(email: &str) -> Result<(), ApiError> {
    if people::is_address(email) {
        Ok(())
    } else {
        Err(ApiError::unprocessable(ErrorCode::BadEmail, "email should look like name@example.com."))
    }
}

/// Refuses a password that is too weak.
pub(crate) fn checked_password(password: String, email: &str) -> Result<SecretString, ApiError> {
    let password = SecretString::from(password);
    match password::objection(&password, email) {
        Some(words) => Err(ApiError::unprocessable(ErrorCode::WeakPassword, words)),
        None => Ok(password),
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::wrong_password(),
            SignInError::Unverified => Self::unverified(),
            SignInError::TooMany(wait) => Self::too_many_tries(wait),
            SignInError::Database(error) => error.into(),
        }
    }
}
