//! Makes tenants.

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
    name::Name,
    people::Address,
    services::Services,
};

/// The most tenants that a person may own, as each has its own limits. Operators make more for an
/// agency that needs them.
const MOST_OWNED: i64 = 10;

/// A tenant to make.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The name.
    pub name: Name,
    /// The address for mail to the tenant.
    pub email: Address,
    /// The plan.
    pub plan: Plan,
    /// The owner; `None` if an operator makes it.
    pub owner: Option<UserId>,
    /// The tenant whose settings are copied.
    pub model: Option<TenantId>,
}

/// The reasons for which no tenant was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The owner owns this many tenants already.
    #[error("the person owns {0} tenants already, and may not make more")]
    TooMany(i64),
    /// The tenant to copy settings from does not exist.
    #[error("the tenant to copy settings from does not exist")]
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
    let tenant = store::insert(tx, new.name.as_str(), new.email.as_str(), new.plan).await?;
    settings::put(tx, tenant.id, &settings).await?;
    if let Some(owner) = new.owner {
        members::insert(tx, tenant.id, owner, Role::Owner).await?;
    }
    let details = json!({ "name": tenant.name, "plan": tenant.plan.name(), "copy_settings_from": new.model });
    let entry = Entry::new(tenant.id, "tenant.create", "tenant", tenant.id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok((tenant, settings))
}
