//! Makes the restaurants tenants.

use uuid::Uuid;

use super::Stage;
use crate::{restaurant::PROFILES, say};

/// Creates a tenant for each restaurant, and its person with a Page at Facebook.
pub(super) async fn make(stage: &Stage) -> anyhow::Result<Vec<Uuid>> {
    say::heading(1, "Tenants");
    say::asked("Each restaurant becomes a tenant: POST /tenants. No job is needed for that.");
    stage.sandbox.replace_people(&PROFILES).await?;
    let mut tenants = Vec::new();
    for profile in &PROFILES {
        let id = stage.api.create_tenant(profile.name, profile.email).await?;
        say::asked(&format!("{:<12}  tenant {id}, with {}, who has a Page at Facebook", profile.name, profile.person));
        tenants.push(id);
    }
    Ok(tenants)
}
