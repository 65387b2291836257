//! Makes folders, and requests pictures with text over them.

use serde_json::json;

use super::{
    Overlay, RenderOverlay,
    store::{self, AssetRow, FolderRow},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Tx},
    ids::{AssetId, TenantId},
    name::Name,
    services::Services,
};

/// Makes a folder. Returns `None` if the tenant has one of that name.
pub async fn create_folder(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    name: &Name,
) -> Result<Option<FolderRow>, sqlx::Error> {
    let Some(folder) = store::insert_folder(tx, tenant_id, name).await? else {
        return Ok(None);
    };
    let entry = Entry::new(tenant_id, "folder.create", "folder", folder.id, json!({ "name": folder.name }));
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(folder))
}

/// Requests text over a picture. Returns the id of the new picture, and the job that renders it.
///
/// # Errors
/// [`EnqueueError`].
pub async fn request_overlay(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    asset: &AssetRow,
    overlay: Overlay,
) -> Result<(AssetId, Enqueued), EnqueueError> {
    let job = RenderOverlay { asset_id: asset.id, rendered_id: AssetId::new(), overlay };
    let enqueued = tx.enqueue(NewJob::new(asset.tenant_id, &job)).await?;
    let details = json!({ "rendered_id": job.rendered_id });
    let entry = Entry::new(asset.tenant_id, "asset.overlay", "asset", asset.id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok((job.rendered_id, enqueued))
}
