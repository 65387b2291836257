//! Removes a second factor, and makes new recovery codes.

use secrecy::SecretString;
use serde_json::json;

use super::{FactorError, Guess, recovery::RecoveryCode, store, take_code};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::{TenantId, UserId},
    mail::{self, AccountChange, Email},
    people::{
        reauthenticate::{Acting, ReauthError, reauthenticate},
        sessions,
        store::UserRow,
    },
    secrets::Keyring,
    services::Services,
};

/// The password and a code, for changes of a second factor.
#[derive(Debug)]
pub struct Proof {
    /// The password; `None` for people without one.
    pub password: Option<SecretString>,
    /// A code of the app, or a recovery code.
    pub code: String,
}

/// Removes a person's second factor and ends their other sessions. Where one is required, the
/// person sets up another to go on.
///
/// # Errors
/// Returns [`FactorError`], with nothing removed.
pub async fn remove(db: &Db, services: &Services, who: Acting<'_>, proof: Proof) -> Result<(), FactorError> {
    let (mut tx, user) = prove(db, services, who, proof).await?;
    store::delete(&mut tx, user.id).await?;
    sessions::revoke_others(&mut tx, user.id, who.session_id).await?;
    sessions::mark_second_factor(&mut tx, who.session_id, false).await?;
    let letter = Email::AccountChanged { user_id: user.id, change: AccountChange::SecondFactorRemoved };
    mail::enqueue(&mut tx, TenantId::SYSTEM, letter).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.remove_second_factor", "user", user.id, json!({}));
    audit::append(&mut tx, &services.keyring, &who.actor(&user), &[entry]).await?;
    Ok(tx.commit().await?)
}

/// Returns new recovery codes, which are shown once. The old ones are void.
///
/// # Errors
/// Returns [`FactorError`]; the old codes are valid then.
pub async fn renew_recovery_codes(
    db: &Db,
    services: &Services,
    who: Acting<'_>,
    proof: Proof,
) -> Result<Vec<String>, FactorError> {
    let (mut tx, user) = prove(db, services, who, proof).await?;
    let codes = RecoveryCode::several();
    let hashes: Vec<Vec<u8>> = codes.iter().map(RecoveryCode::fingerprint).collect();
    store::put_recovery_codes(&mut tx, user.id, &hashes).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.renew_recovery_codes", "user", user.id, json!({}));
    audit::append(&mut tx, &services.keyring, &who.actor(&user), &[entry]).await?;
    tx.commit().await?;
    Ok(codes.iter().map(RecoveryCode::grouped).collect())
}

/// Checks the password and the code. The code is used in the transaction that it returns.
async fn prove(db: &Db, services: &Services, who: Acting<'_>, proof: Proof) -> Result<(Tx, UserRow), FactorError> {
    let user = reauthenticate(db, services, who, proof.password).await?;
    let guess = Guess::count(db, &services.signer, &user, who.from, ReauthError::TooMany).await?;
    let mut tx = db.system().await?;
    if !store::is_confirmed(&mut tx, user.id).await? {
        return Err(FactorError::Missing);
    }
    if !take_code(&mut tx, &services.keyring, user.id, &proof.code).await? {
        return Err(FactorError::Wrong);
    }
    guess.forgive(&mut tx).await?;
    Ok((tx, user))
}

/// Removes the second factor of somebody who has lost it, and signs them out everywhere. Returns
/// false if they have none. Needs the system scope.
pub async fn reset(tx: &mut Tx, keyring: &Keyring, actor: &Actor, user_id: UserId) -> Result<bool, sqlx::Error> {
    if !store::delete(tx, user_id).await? {
        return Ok(false);
    }
    sessions::revoke_all(tx, user_id).await?;
    let letter = Email::AccountChanged { user_id, change: AccountChange::SecondFactorReset };
    mail::enqueue(tx, TenantId::SYSTEM, letter).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.reset_second_factor", "user", user_id, json!({}));
    audit::append(tx, keyring, actor, &[entry]).await?;
    Ok(true)
}
