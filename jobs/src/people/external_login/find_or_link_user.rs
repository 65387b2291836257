//! Which person an account elsewhere is.

use serde_json::json;

use super::{
    super::{
        sign_up::{self, Verified},
        store::{self as people, Names, UserPatch, UserRow},
    },
    ExternalIdentity, store,
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::TenantId,
    services::Services,
};

/// Why an account elsewhere is nobody here.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
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
/// [`LinkError`].
pub async fn find_or_link_user(
    tx: &mut Tx,
    services: &Services,
    identity: &ExternalIdentity,
    remote_address: Option<String>,
) -> Result<UserRow, LinkError> {
    if let Some(user_id) = store::find_user(tx, identity.provider, &identity.subject).await?
        && let Some(user) = people::get(tx, user_id).await?
    {
        return Ok(user);
    }
    let email = identity.email.as_deref().ok_or(LinkError::Unverified)?;
    let user_id = people::ensure(tx, email).await?;
    let owner_id = store::ensure(tx, identity.provider, &identity.subject, user_id).await?;
    let user = people::get(tx, owner_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    // Of two first visits at once, the other one may have come first, with another address.
    if owner_id != user_id {
        return Ok(user);
    }
    let (user, mut entries) = match user.email_verified_at {
        Some(_) => (user, Vec::new()),
        None => welcome(tx, identity, &user).await?.unwrap_or_else(|| (user, Vec::new())),
    };
    let actor = Actor::person(user.id.0, user.email.clone(), remote_address);
    let details = json!({ "provider": identity.provider.name() });
    entries.push(Entry::new(TenantId::SYSTEM, "user.link", "user", user.id, details));
    audit::append(tx, &services.keyring, &actor, &entries).await?;
    Ok(user)
}

async fn welcome(
    tx: &mut Tx,
    identity: &ExternalIdentity,
    user: &UserRow,
) -> Result<Option<(UserRow, Vec<Entry>)>, sqlx::Error> {
    let name = format!("{} {}", identity.first_name, identity.last_name);
    let name = if name.trim().is_empty() { user.email.as_str() } else { name.trim() };
    let organization_name: String = name.chars().take(200).collect();
    let verified = Verified {
        password_hash: None,
        names: Names { first: &identity.first_name, last: &identity.last_name },
        // Staff work for those of others.
        organization_name: user.operator_role.is_none().then_some(&organization_name),
    };
    let welcomed = sign_up::welcome(tx, user.id, &verified).await?;
    let patch = UserPatch { picture_url: identity.picture_url.clone(), ..UserPatch::default() };
    people::update(tx, user.id, &patch).await?;
    Ok(welcomed)
}
