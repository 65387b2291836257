//! Making tenants.

use serde_json::json;

use super::{
    members,
    plans::Plan,
    roles::Role,
    settings::{self, Settings},
    store::{self, TenantRow},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::{TenantId, UserId},
    people::Address,
    services::Services,
};

/// Tenants that somebody may own to make one more: each has limits of its own. Operators make more for an agency that needs them.
const MOST_OWNED: i64 = 10;

/// A tenant to make.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// What it is called.
    pub name: String,
    /// Whom to write to.
    pub email: Address,
    /// What it pays for.
    pub plan: Plan,
    /// Who owns it; nobody yet where operators make one.
    pub owner: Option<UserId>,
    /// The tenant whose settings it begins with.
    pub model: Option<TenantId>,
}

/// The reason why no tenant was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Its owner owns so many already.
    #[error("the owner of {0} tenants makes no more")]
    TooMany(i64),
    /// There is no tenant to take settings from.
    #[error("no such model")]
    NoModel,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Makes a tenant. Needs the system scope.
///
/// # Errors
/// [`CreateError`].
pub async fn create(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    new: &NewTenant,
) -> Result<(TenantRow, Settings), CreateError> {
    if let Some(owner) = new.owner
        && members::lock_and_count_owned(tx, owner).await? >= MOST_OWNED
    {
        return Err(CreateError::TooMany(MOST_OWNED));
    }
    let settings = match new.model {
        Some(model) => {
            store::get(tx, model).await?.ok_or(CreateError::NoModel)?;
            settings::get(tx, model).await?.for_another()
        }
        None => Settings::default(),
    };
    let tenant = store::insert(tx, &new.name, new.email.as_str(), new.plan).await?;
    settings::put(tx, tenant.id, &settings).await?;
    if let Some(owner) = new.owner {
        members::insert(tx, tenant.id, owner, Role::Owner).await?;
    }
    let details = json!({ "name": tenant.name, "plan": tenant.plan.name(), "copy_settings_from": new.model });
    let entry = Entry::new(tenant.id, "tenant.create", "tenant", tenant.id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok((tenant, settings))
}
