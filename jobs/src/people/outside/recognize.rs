//! Which person an account elsewhere is.

use serde_json::json;

use super::{
    super::{
        sign_up::{self, Verified},
        store::{self as people, Names, UserPatch, UserRow},
    },
    Outsider, store,
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::TenantId,
    services::Services,
};

/// Why an account elsewhere is nobody here.
#[derive(Debug, thiserror::Error)]
pub enum RecognizeError {
    /// It is not known, and has no address that the provider verified.
    #[error("the account is not known and has no verified address")]
    Unverified,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Finds the person behind an account elsewhere. One that is not known becomes that of whoever has the address, which the provider
/// verified: a person with an account here, or else a new one with a tenant, without a password. What somebody registered for an
/// address that was never verified is gone with that. Needs the system scope.
///
/// # Errors
/// [`RecognizeError`].
pub async fn recognize(
    tx: &mut Tx,
    services: &Services,
    outsider: &Outsider,
    remote_address: Option<String>,
) -> Result<UserRow, RecognizeError> {
    if let Some(user_id) = store::find_user(tx, outsider.provider, &outsider.subject).await?
        && let Some(user) = people::get(tx, user_id).await?
    {
        return Ok(user);
    }
    let email = outsider.email.as_deref().ok_or(RecognizeError::Unverified)?;
    let user_id = people::ensure(tx, email).await?;
    let owner_id = store::ensure(tx, outsider.provider, &outsider.subject, user_id).await?;
    let user = people::get(tx, owner_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    // Of two first visits at once, the other one may have come first, with another address.
    if owner_id != user_id {
        return Ok(user);
    }
    let (user, mut entries) = match user.email_verified_at {
        Some(_) => (user, Vec::new()),
        None => welcome(tx, outsider, &user).await?.unwrap_or_else(|| (user, Vec::new())),
    };
    let actor = Actor::person(user.id.0, user.email.clone(), remote_address);
    let details = json!({ "provider": outsider.provider.name() });
    entries.push(Entry::new(TenantId::SYSTEM, "user.link", "user", user.id, details));
    audit::append(tx, &services.keyring, &actor, &entries).await?;
    Ok(user)
}

async fn welcome(
    tx: &mut Tx,
    outsider: &Outsider,
    user: &UserRow,
) -> Result<Option<(UserRow, Vec<Entry>)>, sqlx::Error> {
    let name = format!("{} {}", outsider.first_name, outsider.last_name);
    let name = if name.trim().is_empty() { user.email.as_str() } else { name.trim() };
    let organization_name: String = name.chars().take(200).collect();
    let verified = Verified {
        password_hash: None,
        names: Names { first: &outsider.first_name, last: &outsider.last_name },
        // Staff work for those of others.
        organization_name: user.operator_role.is_none().then_some(&organization_name),
    };
    let welcomed = sign_up::welcome(tx, user.id, &verified).await?;
    let patch = UserPatch { picture_url: outsider.picture_url.clone(), ..UserPatch::default() };
    people::update(tx, user.id, &patch).await?;
    Ok(welcomed)
}
