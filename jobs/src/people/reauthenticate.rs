//! Asks people who are signed in once more who they are, before they change how they sign in.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    password::Verdict,
    sessions,
    sign_in::{Attempt, ClientOrigin},
    store::{self, UserRow},
};
use crate::{
    audit::Actor,
    engine::Db,
    ids::{SessionId, UserId},
    services::Services,
};

/// The time after signing in for which people without a password need not sign in again.
pub const RECENT: Duration = Duration::from_mins(10);

/// A person who acts, the session they act in, and the client that they act from.
#[derive(Debug, Clone, Copy)]
pub struct Acting<'a> {
    /// The person.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The client.
    pub from: &'a ClientOrigin,
}

impl Acting<'_> {
    /// Returns the actor for the audit log.
    pub(super) fn actor(&self, user: &UserRow) -> Actor {
        Actor::person(user.id.0, user.email.clone(), self.from.remote_address.clone())
    }
}

/// The reasons for which people have not shown who they are.
#[derive(Debug, thiserror::Error)]
pub enum ReauthError {
    /// The password is wrong or was not given.
    #[error("the password is wrong")]
    Wrong,
    /// The person has no password, and signed in too long ago.
    #[error("the person signed in too long ago")]
    NotRecent,
    /// The session has ended.
    #[error("the session has ended")]
    SignedOut,
    /// There were too many attempts; the next one is allowed after this time.
    #[error("too many tries")]
    TooMany(Duration),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Checks the current password of a person; of somebody without one, that they signed in within
/// [`RECENT`]. Attempts count like those to sign in.
///
/// # Errors
/// Returns [`ReauthError`]. A failed attempt counts too.
pub async fn reauthenticate(
    db: &Db,
    services: &Services,
    who: Acting<'_>,
    password: Option<SecretString>,
) -> Result<UserRow, ReauthError> {
    let mut tx = db.system().await?;
    let user = store::get(&mut tx, who.user_id).await?.ok_or(ReauthError::SignedOut)?;
    if user.password_hash.is_none() {
        let is_recent = sessions::is_younger(&mut tx, who.session_id, RECENT).await?;
        tx.commit().await?;
        return if is_recent { Ok(user) } else { Err(ReauthError::NotRecent) };
    }
    tx.commit().await?;
    let password = password.ok_or(ReauthError::Wrong)?;
    let attempt = Attempt::of_signed_in(&services.signer, &user.email_canonical, who.from);
    attempt.count(db, ReauthError::TooMany).await?;
    let Verdict::Right { .. } = services.passwords.verify(password, user.password_hash.clone()).await else {
        tracing::info!(user_id = %user.id, client = who.from.remote_address, "a wrong password was refused");
        return Err(ReauthError::Wrong);
    };
    let mut tx = db.system().await?;
    attempt.forgive(&mut tx).await?;
    tx.commit().await?;
    Ok(user)
}
