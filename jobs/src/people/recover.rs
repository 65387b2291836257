//! Resets a forgotten password by mail.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::{
    Address,
    password::WeakPassword,
    sessions,
    store::{self, Purpose, Registration},
    throttle::{Throttle, Throttled},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::{TenantId, UserId},
    mail::{self, Email},
    services::Services,
};

/// The lifetime of a link to choose another password.
pub const LINK_LIFE: Duration = Duration::from_hours(1);

/// Mails a link to choose another password if the address has an account.
///
/// # Errors
/// Returns [`Throttled`], whether or not the address has an account.
pub async fn forgot(db: &Db, email: &Address) -> Result<(), Throttled> {
    let mut tx = db.system().await?;
    Throttle::RESET_LETTER.require(&mut tx, &email.canonical()).await?;
    let user = store::find_by_email(&mut tx, email).await?.filter(|user| user.email_verified_at.is_some());
    if let Some(user) = user {
        let link_id = insert_link(&mut tx, user.id, LINK_LIFE).await?;
        mail::enqueue(&mut tx, TenantId::SYSTEM, Email::ResetPassword { link_id }).await?;
    }
    Ok(tx.commit().await?)
}

/// Makes a link to choose a password. Needs the system scope.
pub async fn insert_link(tx: &mut Tx, user_id: UserId, life: Duration) -> Result<uuid::Uuid, sqlx::Error> {
    store::insert_link(tx, user_id, Purpose::ResetPassword, life, &Registration::default()).await
}

/// The reasons for which a password is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The code is unknown, used or expired.
    #[error("the code is wrong, was used, or has expired")]
    Code,
    /// The new password is easy to guess.
    #[error("the password is too weak")]
    Weak(#[from] WeakPassword),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Changes a password by the code of a link, and ends all sessions.
///
/// # Errors
/// Returns [`ResetError`], with nothing changed: the link stays good if the password is weak.
pub async fn reset(
    db: &Db,
    services: &Services,
    code: &str,
    password: SecretString,
    remote_address: Option<String>,
) -> Result<(), ResetError> {
    let link_id = services.signer.read(Purpose::ResetPassword.name(), code).ok_or(ResetError::Code)?;
    let mut tx = db.system().await?;
    let user = store::find_link_owner(&mut tx, link_id, Purpose::ResetPassword).await?.ok_or(ResetError::Code)?;
    tx.commit().await?;
    let about = [user.email.as_str(), &user.first_name, &user.last_name];
    let password_hash = services.passwords.choose(password, &about).await?;
    let mut tx = db.system().await?;
    store::use_link(&mut tx, link_id, Purpose::ResetPassword).await?.ok_or(ResetError::Code)?;
    store::set_password(&mut tx, user.id, &password_hash).await?;
    store::delete_links(&mut tx, user.id).await?;
    store::delete_address_change(&mut tx, user.id).await?;
    sessions::revoke_all(&mut tx, user.id).await?;
    Throttle::ACCOUNT_ANYWHERE.forgive(&mut tx, &user.email_canonical).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.reset_password", "user", user.id, json!({}));
    let actor = Actor::person(user.id.0, user.email, remote_address);
    audit::append(&mut tx, &services.keyring, &actor, &[entry]).await?;
    Ok(tx.commit().await?)
}
