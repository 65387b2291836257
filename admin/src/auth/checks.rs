//! The permissions that a request needed. Whoever asks for its kept response needs them again.

use std::collections::{BTreeMap, BTreeSet};

use jobs::{ids::TenantId, tenants::permissions::Permissions};
use serde::{Deserialize, Serialize};

use super::identity::{Access, Identity};
use crate::ApiError;

/// The permissions that a request needed in each tenant. A need for an operator counts as one in
/// the system's tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checks(BTreeMap<TenantId, BTreeSet<String>>);

impl Checks {
    /// Adds that the caller has to be in a tenant with these permissions.
    pub(super) fn add<T: AsRef<str>>(&mut self, tenant_id: TenantId, needed: impl IntoIterator<Item = T>) {
        self.0.entry(tenant_id).or_default().extend(needed.into_iter().map(|name| name.as_ref().to_owned()));
    }

    /// Refuses a caller that is not allowed all of this now.
    pub(crate) fn hold_for(&self, identity: &Identity) -> Result<(), ApiError> {
        for (tenant_id, needed) in &self.0 {
            let held = match &identity.access {
                Access::Tenants { .. } if *tenant_id == TenantId::SYSTEM => return Err(ApiError::operators_only()),
                access @ (Access::Everywhere(_) | Access::Tenants { .. } | Access::Barred) => {
                    access.held_in(*tenant_id)?
                }
            };
            if let Some(beyond) = held.first_beyond(&Permissions::stored(needed.iter().cloned().collect())) {
                return Err(ApiError::missing_permission(beyond));
            }
        }
        Ok(())
    }
}
