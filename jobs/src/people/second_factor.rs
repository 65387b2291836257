//! The second factor: an authenticator app (TOTP, RFC 6238), and recovery codes for those who do
//! not have it at hand.

mod enrol;
mod guess;
mod recovery;
mod remove;
mod store;
mod totp;

use sqlx::PgConnection;

#[cfg(any(test, feature = "testing"))]
pub use self::totp::shown_at;
pub use self::{
    enrol::{Enrolment, begin, confirm},
    remove::{Proof, remove, renew_recovery_codes, reset},
    store::{Standing, get_standing},
};
pub(super) use self::{guess::Guess, store::is_confirmed};
use self::{recovery::RecoveryCode, totp::Code};
use crate::{
    engine::Tx,
    ids::UserId,
    people::reauthenticate::ReauthError,
    secrets::{Keyring, SecretError},
};

/// The reasons for which a second factor is not set up, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// The code is wrong, was used before, or its time is over.
    #[error("the code is wrong")]
    Wrong,
    /// The person has a second factor already.
    #[error("there is a second factor already")]
    Exists,
    /// The person has no second factor, or has not begun to set one up.
    #[error("there is no second factor")]
    Missing,
    /// The person has not shown who they are.
    #[error("the person has not shown who they are")]
    Reauth(#[from] ReauthError),
    /// The stored secret cannot be read.
    #[error("the secret cannot be read")]
    Secret(#[from] SecretError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Takes a code of the app or a recovery code, once. Returns false if it is not good. Needs the
/// system scope, and a [`Guess`] that was counted before.
pub(super) async fn take_code(
    tx: &mut Tx,
    keyring: &Keyring,
    user_id: UserId,
    typed: &str,
) -> Result<bool, FactorError> {
    if let Some(code) = Code::parse(typed) {
        return take_step(tx, keyring, user_id, &code).await;
    }
    match RecoveryCode::parse(typed) {
        Some(code) => Ok(store::use_recovery_code(tx, user_id, &code.fingerprint()).await?),
        None => Ok(false),
    }
}

async fn take_step(tx: &mut Tx, keyring: &Keyring, user_id: UserId, code: &Code) -> Result<bool, FactorError> {
    let Some(sealed) = store::find_confirmed(tx, user_id).await? else {
        return Ok(false);
    };
    let secret = keyring.decrypt(totp::place(user_id), &sealed)?;
    match totp::step_of(&secret, code, tx.now().await?) {
        Some(step) => Ok(store::use_step(tx, user_id, step).await?),
        None => Ok(false),
    }
}

/// Returns true if a person's role or one of their tenants requires a second factor that they do
/// not have. Needs the system scope.
pub async fn is_missing(conn: &mut PgConnection, user_id: UserId) -> Result<bool, sqlx::Error> {
    let standing = get_standing(conn, user_id).await?;
    Ok(standing.is_required && standing.confirmed_at.is_none())
}
