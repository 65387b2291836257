//! Joins a tenant by an invitation.

use secrecy::SecretString;
use serde_json::json;

use super::{
    Address, SignUp,
    password::WeakPassword,
    sign_up::{self, Verified},
    store::{self, Names},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::{TenantId, UserId},
    name::Name,
    services::Services,
    tenants::{
        invitations::{self, InvitationRow, PURPOSE},
        inviter, members,
    },
};

/// The details that an invited person without an account gives to get one.
#[derive(Debug)]
pub struct Newcomer {
    /// The whole name.
    pub name: Name,
    /// The password.
    pub password: SecretString,
}

/// The reasons for which an invitation is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The code is unknown, or the invitation was accepted, withdrawn or has expired, or whoever
    /// made it may not give that role any more.
    #[error("the invitation does not exist, was used, or has ended")]
    Invalid,
    /// The address has no account yet; the caller asks for a name and a password to make one.
    #[error("the address has no account yet: a name and a password are needed")]
    Newcomer,
    /// The new password is easy to guess.
    #[error("the password is too weak")]
    Weak(#[from] WeakPassword),
    /// The operator lets nobody new in.
    #[error("new people may not make accounts here")]
    Closed(SignUp),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Returns the invitation of a code, and true if its address has an account. Needs the system
/// scope.
pub async fn read(tx: &mut Tx, services: &Services, code: &str) -> Result<(InvitationRow, bool), AcceptError> {
    let id = services.signer.read(PURPOSE, code).ok_or(AcceptError::Invalid)?;
    let invitation = invitations::find_open(tx, id).await?.ok_or(AcceptError::Invalid)?;
    if !inviter::may_still_give(tx, &invitation).await? {
        return Err(AcceptError::Invalid);
    }
    let user = store::find_by_email(tx, &address(&invitation)?).await?;
    Ok((invitation, user.is_some_and(|user| user.email_verified_at.is_some())))
}

/// Accepts an invitation for the account of its address and returns the tenant. If the address has
/// no account, one is made.
///
/// The code came by mail, so whoever has it reads that address. Accepting does not sign the person
/// in.
///
/// # Errors
/// Returns [`AcceptError::Newcomer`] if the address has no account and `newcomer` is `None`.
pub async fn accept(
    db: &Db,
    services: &Services,
    code: &str,
    newcomer: Option<Newcomer>,
    remote_address: Option<String>,
) -> Result<TenantId, AcceptError> {
    let chosen = choose(db, services, code, newcomer).await?;
    let mut tx = db.system().await?;
    let (invitation, has_account) = read(&mut tx, services, code).await?;
    let user_id = store::ensure(&mut tx, &address(&invitation)?).await?;
    let mut entries = Vec::new();
    match (has_account, chosen) {
        (true, _) => {}
        (false, None) => return Err(AcceptError::Newcomer),
        (false, Some((name, hash))) => {
            let verified =
                Verified { password_hash: Some(&hash), names: Names::of(name.as_str()), organization_name: None };
            let welcomed = sign_up::welcome(&mut tx, user_id, &verified).await?;
            entries = welcomed.map(|(_, entries)| entries).unwrap_or_default();
        }
    }
    members::insert(&mut tx, invitation.tenant_id, user_id, invitation.role).await?;
    invitations::mark_accepted(&mut tx, invitation.tenant_id, invitation.id).await?;
    let actor = Actor::person(user_id.0, invitation.email.clone(), remote_address);
    entries.push(entry(&invitation, user_id));
    audit::append(&mut tx, &services.keyring, &actor, &entries).await?;
    tx.commit().await?;
    Ok(invitation.tenant_id)
}

/// Returns the name and the password hash of a person who needs an account.
async fn choose(
    db: &Db,
    services: &Services,
    code: &str,
    newcomer: Option<Newcomer>,
) -> Result<Option<(Name, String)>, AcceptError> {
    let mut tx = db.system().await?;
    let (invitation, has_account) = read(&mut tx, services, code).await?;
    tx.commit().await?;
    match newcomer {
        Some(Newcomer { name, password }) if !has_account => {
            if !services.sign_up.admits(true) {
                return Err(AcceptError::Closed(services.sign_up));
            }
            let hash = services.passwords.choose(password, &[&invitation.email, name.as_str()]).await?;
            Ok(Some((name, hash)))
        }
        Some(_) | None => Ok(None),
    }
}

/// An address from before addresses were checked may be none.
fn address(invitation: &InvitationRow) -> Result<Address, AcceptError> {
    Address::parse(&invitation.email).map_err(|_| AcceptError::Invalid)
}

fn entry(invitation: &InvitationRow, user_id: UserId) -> Entry {
    let details = json!({ "user_id": user_id, "role": invitation.role.name() });
    Entry::new(invitation.tenant_id, "invitation.accept", "invitation", invitation.id, details)
}
