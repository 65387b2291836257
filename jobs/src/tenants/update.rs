//! Changes a tenant and its settings.

use serde_json::{Map, Value, json};

use super::{
    settings::{self, BadSetting, Settings},
    store::{self, TenantRow},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::TenantId,
    services::Services,
};

/// The reasons for which a tenant was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// There is no such tenant.
    #[error("the tenant does not exist")]
    Missing,
    /// A setting has a value that is not possible.
    #[error("{0}")]
    Setting(BadSetting),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Changes a tenant and its settings.
///
/// # Errors
/// [`UpdateError`].
pub async fn update(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    id: TenantId,
    change: impl FnOnce(&mut TenantRow, &mut Settings),
) -> Result<(TenantRow, Settings), UpdateError> {
    let mut tenant = store::lock(tx, id).await?.ok_or(UpdateError::Missing)?;
    let mut settings = settings::get(tx, id).await?;
    let before = fields(&tenant, &settings);
    change(&mut tenant, &mut settings);
    let settings = settings.checked().map_err(UpdateError::Setting)?;
    store::update(tx, &tenant).await?;
    settings::put(tx, id, &settings).await?;
    if let Some(details) = difference(before, fields(&tenant, &settings)) {
        let entry = Entry::new(id, "tenant.update", "tenant", id, details);
        audit::append(tx, &services.keyring, actor, &[entry]).await?;
    }
    Ok((tenant, settings))
}

/// Returns the changed fields, before and after; `None` if nothing changed.
fn difference(mut before: Map<String, Value>, mut after: Map<String, Value>) -> Option<Value> {
    let same: Vec<String> =
        before.iter().filter(|(name, value)| after.get(*name) == Some(*value)).map(|(name, _)| name.clone()).collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    (!before.is_empty()).then(|| json!({ "before": before, "after": after }))
}

fn fields(tenant: &TenantRow, settings: &Settings) -> Map<String, Value> {
    let mut fields = json!(settings).as_object().cloned().unwrap_or_default();
    for (name, value) in
        [("name", json!(tenant.name)), ("email", json!(tenant.email)), ("plan", json!(tenant.plan.name()))]
    {
        fields.insert(name.to_owned(), value);
    }
    fields
}
