//! Finds or makes the person of an external account.

use serde_json::json;

use super::{
    super::{
        SignUp,
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
    tenants::invitations,
};

/// The reasons for which an external account leads to no person here.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The external account is unknown, and the provider verified no address for it.
    #[error("the account at the provider is new, and the provider verified no address of it")]
    Unverified,
    /// The operator lets nobody new in, or nobody without an invitation.
    #[error("the account at the provider is new, and new people may not make accounts here")]
    Closed(SignUp),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Returns the person behind an external account. Needs the system scope.
///
/// An unknown account is linked to the person who has its address, which the provider verified. If
/// there is none, a new person with a tenant is made, without a password. A registration for the
/// address that was never verified is dropped.
///
/// # Errors
/// Returns [`LinkError::Unverified`] if the account is unknown and has no verified address.
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
    let email = identity.email.as_ref().ok_or(LinkError::Unverified)?;
    let user_id = people::ensure(tx, email).await?;
    let owner_id = store::ensure(tx, identity.provider, &identity.subject, user_id).await?;
    let user = people::get(tx, owner_id).await?.ok_or(sqlx::Error::RowNotFound)?;
    // Two first sign-ins may run at once with different addresses. The other one came first here.
    if owner_id != user_id {
        return Ok(user);
    }
    let is_new = user.email_verified_at.is_none() && user.operator_role.is_none();
    if is_new && !services.sign_up.admits(invitations::is_invited(tx, email).await?) {
        return Err(LinkError::Closed(services.sign_up));
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
        // Operators work for the tenants of others and get none of their own.
        organization_name: user.operator_role.is_none().then_some(&organization_name),
    };
    let welcomed = sign_up::welcome(tx, user.id, &verified).await?;
    let patch = UserPatch { picture_url: identity.picture_url.clone(), ..UserPatch::default() };
    people::update(tx, user.id, &patch).await?;
    Ok(welcomed)
}
