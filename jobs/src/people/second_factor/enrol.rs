//! Sets up a second factor: a secret for the app, then a code that shows that the app has it.

use secrecy::SecretString;
use serde_json::json;

use super::{FactorError, Guess, recovery::RecoveryCode, store, totp};
use crate::{
    audit::{self, Entry},
    engine::Db,
    ids::TenantId,
    mail::{self, AccountChange, Email},
    people::{
        reauthenticate::{Acting, ReauthError, reauthenticate},
        sessions,
        store::{self as people},
    },
    services::Services,
};

/// A secret for an app, shown once.
#[derive(Debug)]
pub struct Enrolment {
    /// The secret in base32, for people who type it.
    pub secret: SecretString,
    /// The same as `otpauth://...`, for a QR code.
    pub url: SecretString,
}

/// Makes a secret for a person's app. It protects nothing until [`confirm`]. A later call makes
/// another secret.
///
/// # Errors
/// Returns [`FactorError::Exists`] if the person has a second factor.
pub async fn begin(
    db: &Db,
    services: &Services,
    who: Acting<'_>,
    password: Option<SecretString>,
) -> Result<Enrolment, FactorError> {
    let user = reauthenticate(db, services, who, password).await?;
    let secret = totp::new_secret();
    let url = totp::url(&secret, &user.email).ok_or(FactorError::Missing)?;
    let sealed = services.keyring.encrypt(totp::place(user.id), &secret);
    let mut tx = db.system().await?;
    if !store::put_unconfirmed(&mut tx, user.id, &sealed).await? {
        return Err(FactorError::Exists);
    }
    tx.commit().await?;
    Ok(Enrolment { secret, url })
}

/// Puts the second factor into use by a code of the app, and returns the recovery codes, which are
/// shown once. The session counts as signed in with it; all others end.
///
/// # Errors
/// Returns [`FactorError::Missing`] if nothing was begun.
pub async fn confirm(db: &Db, services: &Services, who: Acting<'_>, code: &str) -> Result<Vec<String>, FactorError> {
    let mut tx = db.system().await?;
    let user = people::get(&mut tx, who.user_id).await?.ok_or(ReauthError::SignedOut)?;
    tx.commit().await?;
    let guess = Guess::count(db, &services.signer, &user, who.from, ReauthError::TooMany).await?;
    let mut tx = db.system().await?;
    // A sign-in without a code that begins now waits, and then sees the second factor.
    people::lock(&mut tx, user.id).await?;
    let sealed = store::find_unconfirmed(&mut tx, user.id).await?.ok_or(FactorError::Missing)?;
    let secret = services.keyring.decrypt(totp::place(user.id), &sealed)?;
    let now = tx.now().await?;
    let step = totp::Code::parse(code).and_then(|code| totp::step_of(&secret, &code, now));
    store::mark_confirmed(&mut tx, user.id, step.ok_or(FactorError::Wrong)?).await?;
    let codes = RecoveryCode::several();
    let hashes: Vec<Vec<u8>> = codes.iter().map(RecoveryCode::fingerprint).collect();
    store::put_recovery_codes(&mut tx, user.id, &hashes).await?;
    sessions::revoke_others(&mut tx, user.id, who.session_id).await?;
    sessions::mark_second_factor(&mut tx, who.session_id, true).await?;
    guess.forgive(&mut tx).await?;
    let letter = Email::AccountChanged { user_id: user.id, change: AccountChange::SecondFactorAdded };
    mail::enqueue(&mut tx, TenantId::SYSTEM, letter).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.add_second_factor", "user", user.id, json!({}));
    audit::append(&mut tx, &services.keyring, &who.actor(&user), &[entry]).await?;
    tx.commit().await?;
    Ok(codes.iter().map(RecoveryCode::grouped).collect())
}
