//! Changes a password that its owner knows.

use secrecy::SecretString;
use serde_json::json;

use super::{
    password::WeakPassword,
    reauthenticate::{Acting, ReauthError, reauthenticate},
    sessions, store,
};
use crate::{
    audit::{self, Entry},
    engine::Db,
    ids::TenantId,
    mail::{self, AccountChange, Email},
    services::Services,
};

/// The reasons for which a password is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The person has not shown who they are.
    #[error("the person has not shown who they are")]
    Reauth(#[from] ReauthError),
    /// The new password is easy to guess.
    #[error("the password is weak")]
    Weak(#[from] WeakPassword),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Changes a person's password, or gives them a first one. Their other sessions end, and so do
/// links and changes of address that somebody else may have asked for. A letter tells the person.
///
/// # Errors
/// Returns [`ChangePasswordError`], with nothing changed.
pub async fn change_password(
    db: &Db,
    services: &Services,
    who: Acting<'_>,
    current: Option<SecretString>,
    new: SecretString,
) -> Result<(), ChangePasswordError> {
    let user = reauthenticate(db, services, who, current).await?;
    let about = [user.email.as_str(), &user.first_name, &user.last_name];
    let password_hash = services.passwords.choose(new, &about).await?;
    let mut tx = db.system().await?;
    store::lock(&mut tx, user.id).await?;
    if !store::has_password(&mut tx, user.id, user.password_hash.as_deref()).await? {
        return Err(ReauthError::Wrong.into());
    }
    store::set_password(&mut tx, user.id, &password_hash).await?;
    store::delete_links(&mut tx, user.id).await?;
    store::delete_address_change(&mut tx, user.id).await?;
    sessions::revoke_others(&mut tx, user.id, who.session_id).await?;
    let letter = Email::AccountChanged { user_id: user.id, change: AccountChange::Password };
    mail::enqueue(&mut tx, TenantId::SYSTEM, letter).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.change_password", "user", user.id, json!({}));
    audit::append(&mut tx, &services.keyring, &who.actor(&user), &[entry]).await?;
    Ok(tx.commit().await?)
}
