//! Changes a person's address, after both mailboxes have confirmed it.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::{
    Address,
    reauthenticate::{Acting, ReauthError, reauthenticate},
    store::{self, AddressChange, Side},
    throttle::{Throttle, Throttled},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::TenantId,
    mail::{self, Email},
    services::Services,
};

/// The lifetime of the two links.
pub const LINK_LIFE: Duration = Duration::from_hours(24);

/// The reasons for which an address is not changed. None depends on the new address having an
/// account, but for [`ChangeAddressError::Taken`], which only the holder of that mailbox sees.
#[derive(Debug, thiserror::Error)]
pub enum ChangeAddressError {
    /// The person has not shown who they are.
    #[error("the person has not shown who they are")]
    Reauth(#[from] ReauthError),
    /// The person has that address already.
    #[error("that is the address already")]
    Same,
    /// The code is unknown, used or expired.
    #[error("the code is not good")]
    Code,
    /// Somebody else has got that address in the meantime.
    #[error("the address has an account")]
    Taken,
    /// Too many letters were asked for, or the database refused.
    #[error("no letter can be sent")]
    Letter(#[from] Throttled),
}

impl From<sqlx::Error> for ChangeAddressError {
    fn from(error: sqlx::Error) -> Self {
        Self::Letter(error.into())
    }
}

/// Mails a link to the old address and one to the new, in place of those of an earlier change. If
/// the new address has an account, it gets a letter that says so instead.
///
/// # Errors
/// Returns [`ChangeAddressError`], with nothing mailed.
pub async fn request(
    db: &Db,
    services: &Services,
    who: Acting<'_>,
    password: Option<SecretString>,
    new: &Address,
) -> Result<(), ChangeAddressError> {
    let user = reauthenticate(db, services, who, password).await?;
    if new.as_str() == user.email {
        return Err(ChangeAddressError::Same);
    }
    let mut tx = db.system().await?;
    Throttle::ADDRESS_CHANGE.require(&mut tx, &user.id.to_string()).await?;
    Throttle::ADDRESS_LETTER.require(&mut tx, &new.canonical()).await?;
    let change_id = store::put_address_change(&mut tx, user.id, new, LINK_LIFE).await?;
    let holder = store::find_by_email(&mut tx, new).await?;
    let to_new = match holder.filter(|holder| holder.id != user.id && holder.email_verified_at.is_some()) {
        Some(holder) => Email::AddressTaken { user_id: holder.id },
        None => Email::ConfirmNewAddress { change_id },
    };
    mail::enqueue_all(&mut tx, TenantId::SYSTEM, [Email::ConfirmOldAddress { change_id }, to_new]).await?;
    let entry = Entry::new(TenantId::SYSTEM, "user.request_email", "user", user.id, json!({ "email": new.as_str() }));
    audit::append(&mut tx, &services.keyring, &who.actor(&user), &[entry]).await?;
    Ok(tx.commit().await?)
}

/// The state of a change after one mailbox has confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The other mailbox has to confirm it too.
    Half,
    /// The person has the new address.
    Done,
}

/// Confirms a change by the code of one of its links, and makes it if the other mailbox has
/// confirmed it before. Sessions go on.
///
/// # Errors
/// Returns [`ChangeAddressError::Code`] or [`ChangeAddressError::Taken`].
pub async fn confirm(
    db: &Db,
    services: &Services,
    code: &str,
    remote_address: Option<String>,
) -> Result<Confirmed, ChangeAddressError> {
    let named = Side::BOTH.into_iter().find_map(|side| Some((side, services.signer.read(side.purpose(), code)?)));
    let (side, id) = named.ok_or(ChangeAddressError::Code)?;
    let mut tx = db.system().await?;
    let change = store::confirm_address_change(&mut tx, id, side).await?.ok_or(ChangeAddressError::Code)?;
    if !change.is_confirmed {
        tx.commit().await?;
        return Ok(Confirmed::Half);
    }
    make(&mut tx, services, &change, remote_address).await?;
    tx.commit().await?;
    Ok(Confirmed::Done)
}

async fn make(
    tx: &mut Tx,
    services: &Services,
    change: &AddressChange,
    remote_address: Option<String>,
) -> Result<(), ChangeAddressError> {
    let user = store::get(tx, change.user_id).await?.ok_or(ChangeAddressError::Code)?;
    let new = Address::parse(&change.email).map_err(|_| ChangeAddressError::Code)?;
    store::delete_unverified(tx, &new).await?;
    if store::find_by_email(tx, &new).await?.is_some_and(|holder| holder.id != user.id) {
        return Err(ChangeAddressError::Taken);
    }
    store::set_email(tx, user.id, &new).await?;
    // Links in the old mailbox are void.
    store::delete_links(tx, user.id).await?;
    store::delete_address_change(tx, user.id).await?;
    let details = json!({ "before": user.email, "after": new.as_str() });
    let entry = Entry::new(TenantId::SYSTEM, "user.change_email", "user", user.id, details);
    let actor = Actor::person(user.id.0, user.email, remote_address);
    Ok(audit::append(tx, &services.keyring, &actor, &[entry]).await?)
}
