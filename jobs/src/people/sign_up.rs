//! Registers people and verifies their addresses.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::{
    Address, SignUp,
    password::{Verdict, WeakPassword},
    store::{self, Names, Purpose, Registration, UserRow},
    throttle::{Throttle, Throttled},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::{TenantId, UserId},
    mail::{self, Email},
    name::Name,
    services::Services,
    tenants::{self, members, roles::Role},
};

/// The lifetime of a link to verify an address.
pub const LINK_LIFE: Duration = Duration::from_hours(24);

/// The details of a person who registers.
#[derive(Debug)]
pub struct NewPerson {
    /// The whole name.
    pub name: Name,
    /// The address.
    pub email: Address,
    /// The password.
    pub password: SecretString,
    /// The name of the new tenant.
    pub organization_name: Name,
}

/// The reasons for which a person is not registered. None depends on the address having an account.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The operator lets nobody register.
    #[error("new people may not make accounts here")]
    Closed(SignUp),
    /// The password is easy to guess.
    #[error("the password is too weak")]
    Weak(#[from] WeakPassword),
    /// Too many letters were asked for, or the database refused.
    #[error("could not send the mail")]
    Letter(#[from] Throttled),
}

impl From<sqlx::Error> for RegisterError {
    fn from(error: sqlx::Error) -> Self {
        Self::Letter(error.into())
    }
}

/// Registers a person and mails a link to verify the address.
///
/// An address that has an account gets a mail that says so, so the response does not reveal which
/// addresses are registered.
///
/// # Errors
/// Returns [`RegisterError`], with nothing registered.
pub async fn register(db: &Db, services: &Services, person: NewPerson) -> Result<(), RegisterError> {
    if !services.sign_up.admits(false) {
        return Err(RegisterError::Closed(services.sign_up));
    }
    let about = [person.email.as_str(), person.name.as_str(), person.organization_name.as_str()];
    let password_hash = services.passwords.choose(person.password, &about).await?;
    let mut tx = db.system().await?;
    Throttle::VERIFY_LETTER.require(&mut tx, &person.email.canonical()).await?;
    let user_id = store::ensure(&mut tx, &person.email).await?;
    let is_taken = store::get(&mut tx, user_id).await?.is_some_and(|user| user.email_verified_at.is_some());
    let email = if is_taken {
        Email::AddressTaken { user_id }
    } else {
        let names = Names::of(person.name.as_str());
        let waiting = Registration {
            password_hash: Some(password_hash),
            first_name: names.first.to_owned(),
            last_name: names.last.to_owned(),
            organization_name: Some(person.organization_name.into()),
        };
        let link_id = store::insert_link(&mut tx, user_id, Purpose::VerifyEmail, LINK_LIFE, &waiting).await?;
        Email::VerifyEmail { link_id }
    };
    mail::enqueue(&mut tx, TenantId::SYSTEM, email).await?;
    Ok(tx.commit().await?)
}

/// The reasons for which an address is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The code is unknown, used or expired.
    #[error("the code is wrong, was used, or has expired")]
    Code,
    /// The password is not the one that was registered with this link.
    #[error("the password is not the registered one")]
    Password,
    /// The operator lets nobody register any more.
    #[error("new people may not make accounts here")]
    Closed(SignUp),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Verifies an address by the code of its link and the password that was registered with it. The
/// person gets that password and the tenant.
///
/// The password is required because somebody else may have registered the address: reading the mail
/// alone must not confirm that registration.
///
/// # Errors
/// Returns [`VerifyError`]. Nothing was changed in that case.
pub async fn verify(
    db: &Db,
    services: &Services,
    code: &str,
    password: SecretString,
    remote_address: Option<String>,
) -> Result<UserId, VerifyError> {
    if !services.sign_up.admits(false) {
        return Err(VerifyError::Closed(services.sign_up));
    }
    let link_id = services.signer.read(Purpose::VerifyEmail.name(), code).ok_or(VerifyError::Code)?;
    let mut tx = db.system().await?;
    let hash = store::get_link_hash(&mut tx, link_id).await?.ok_or(VerifyError::Code)?;
    tx.commit().await?;
    if services.passwords.verify(password, Some(hash)).await == Verdict::Wrong {
        return Err(VerifyError::Password);
    }
    let mut tx = db.system().await?;
    let opened = store::use_link(&mut tx, link_id, Purpose::VerifyEmail).await?;
    let (user_id, waiting) = opened.ok_or(VerifyError::Code)?;
    let verified = Verified {
        password_hash: waiting.password_hash.as_deref(),
        names: Names { first: &waiting.first_name, last: &waiting.last_name },
        organization_name: waiting.organization_name.as_deref(),
    };
    let (user, entries) = welcome(&mut tx, user_id, &verified).await?.ok_or(VerifyError::Code)?;
    let actor = Actor::person(user.id.0, user.email, remote_address);
    audit::append(&mut tx, &services.keyring, &actor, &entries).await?;
    tx.commit().await?;
    Ok(user_id)
}

/// The details that a person gets with a verified address.
#[derive(Debug)]
pub(super) struct Verified<'a> {
    /// The hash of the password; `None` for people who sign in with an external account.
    pub(super) password_hash: Option<&'a str>,
    pub(super) names: Names<'a>,
    /// The name of the tenant to make; `None` makes none.
    pub(super) organization_name: Option<&'a str>,
}

/// Makes a person of an address that was not verified so far. Whatever others registered for the
/// address is dropped.
///
/// Returns the person and the entry for the audit log, or `None` if the address was verified
/// already. Needs the system scope.
pub(super) async fn welcome(
    tx: &mut Tx,
    user_id: UserId,
    verified: &Verified<'_>,
) -> Result<Option<(UserRow, Vec<Entry>)>, sqlx::Error> {
    if !store::mark_verified(tx, user_id, verified.password_hash, verified.names).await? {
        return Ok(None);
    }
    store::delete_links(tx, user_id).await?;
    let Some(user) = store::get(tx, user_id).await? else {
        return Ok(None);
    };
    let mut entries = vec![Entry::new(TenantId::SYSTEM, "user.register", "user", user_id, json!({}))];
    if let Some(name) = verified.organization_name {
        let tenant = tenants::store::insert(tx, name, &user.email, tenants::plans::Plan::Basic).await?;
        members::insert(tx, tenant.id, user_id, Role::Owner).await?;
        let details = json!({ "name": name, "plan": "basic" });
        entries.push(Entry::new(tenant.id, "tenant.create", "tenant", tenant.id, details));
    }
    Ok(Some((user, entries)))
}
