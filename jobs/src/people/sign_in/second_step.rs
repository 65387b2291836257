//! The second step of signing in: a code, for people who have a second factor.

use std::time::Duration;

use super::{ClientOrigin, Proven, SignInError};
use crate::{
    engine::{Db, Tx},
    people::{
        second_factor::{self, FactorError, Guess},
        store::{self},
    },
    services::Services,
};

/// The time for which a sign-in waits for its code.
pub const LIFE: Duration = Duration::from_mins(10);

/// The purpose for which [`crate::signer::Signer`] signs the name of a sign-in that waits.
const PURPOSE: &str = "second_step";

/// Begins to wait for a code, and returns the text that names the sign-in. Returns `None` if there
/// is nothing to wait for. Needs the system scope.
pub(super) async fn ask(tx: &mut Tx, services: &Services, proven: &Proven) -> Result<Option<String>, sqlx::Error> {
    if proven.by_code || !second_factor::is_confirmed(tx, proven.user.id).await? {
        return Ok(None);
    }
    let id = store::insert_pending_sign_in(tx, proven.user.id, LIFE).await?;
    Ok(Some(services.signer.code(PURPOSE, id)))
}

/// Checks the code of a sign-in that waits, and returns the person. Each code and each sign-in is
/// good once.
///
/// # Errors
/// Returns [`SignInError::Expired`] if the sign-in is unknown, used or too old, and
/// [`SignInError::WrongCode`] if another code may be tried.
pub async fn check(
    db: &Db,
    services: &Services,
    pending: &str,
    code: &str,
    from: &ClientOrigin,
) -> Result<Proven, SignInError> {
    let id = services.signer.read(PURPOSE, pending).ok_or(SignInError::Expired)?;
    let mut tx = db.system().await?;
    let user = store::find_pending_sign_in(&mut tx, id).await?.ok_or(SignInError::Expired)?;
    tx.commit().await?;
    let guess = Guess::count(db, &services.signer, &user, from, SignInError::TooMany).await?;
    let mut tx = db.system().await?;
    if !second_factor::take_code(&mut tx, &services.keyring, user.id, code).await? {
        tracing::info!(user_id = %user.id, client = from.remote_address, "a wrong code was refused");
        return Err(SignInError::WrongCode);
    }
    if !store::use_pending_sign_in(&mut tx, id).await? {
        return Err(SignInError::Expired);
    }
    guess.forgive(&mut tx).await?;
    tx.commit().await?;
    Ok(Proven { user, by_code: true })
}

impl From<FactorError> for SignInError {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Secret(error) => Self::Secret(error),
            FactorError::Database(error) => Self::Database(error),
            FactorError::Wrong | FactorError::Exists | FactorError::Missing | FactorError::Reauth(_) => Self::WrongCode,
        }
    }
}
