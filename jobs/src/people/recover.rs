//! Resets a forgotten password by mail.

use std::time::Duration;

use serde_json::json;

use super::{
    sessions,
    store::{self, Purpose, Registration},
    throttle::Throttle,
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
pub async fn forgot(db: &Db, email: &str) -> Result<(), sqlx::Error> {
    let mut tx = db.system().await?;
    let wait = Throttle::MAIL.take(&mut tx, email).await?;
    let user = store::find_by_email(&mut tx, email).await?.filter(|user| user.email_verified_at.is_some());
    if let (None, Some(user)) = (wait, user) {
        let link_id = insert_link(&mut tx, user.id, LINK_LIFE).await?;
        mail::enqueue(&mut tx, TenantId::SYSTEM, Email::ResetPassword { link_id }).await?;
    }
    tx.commit().await
}

/// Makes a link to choose a password. Needs the system scope.
pub async fn insert_link(tx: &mut Tx, user_id: UserId, life: Duration) -> Result<uuid::Uuid, sqlx::Error> {
    store::insert_link(tx, user_id, Purpose::ResetPassword, life, &Registration::default()).await
}

/// Changes a password by the code of a link, and ends all sessions. Returns `None` if the code is
/// unknown, used or expired. Needs the system scope.
pub async fn reset(
    tx: &mut Tx,
    services: &Services,
    code: &str,
    password_hash: &str,
    remote_address: Option<String>,
) -> Result<Option<UserId>, sqlx::Error> {
    let Some(link_id) = services.signer.read(Purpose::ResetPassword.name(), code) else {
        return Ok(None);
    };
    let Some((user_id, _)) = store::use_link(tx, link_id, Purpose::ResetPassword).await? else {
        return Ok(None);
    };
    store::set_password(tx, user_id, password_hash).await?;
    store::delete_links(tx, user_id).await?;
    sessions::revoke_all(tx, user_id).await?;
    let Some(user) = store::get(tx, user_id).await? else {
        return Ok(None);
    };
    Throttle::ACCOUNT_ANYWHERE.forgive(tx, &user.email).await?;
    let entry = Entry {
        tenant_id: TenantId::SYSTEM,
        action: "user.reset_password".to_owned(),
        object_type: "user",
        object_id: user_id.to_string(),
        details: json!({}),
    };
    audit::append(tx, &services.keyring, &Actor::person(user_id.0, user.email, remote_address), &[entry]).await?;
    Ok(Some(user_id))
}
