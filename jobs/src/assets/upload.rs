//! Stores uploaded pictures. The bytes go to the storage before there is a row, so no row points at
//! nothing.

use bytes::Bytes;
use serde_json::json;

use super::{
    Picture, StorageError,
    store::{self, AssetRow, FolderRow, NewAsset},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::AssetId,
    name::Name,
    services::Services,
    tenants::usage::{self, UsageError},
};

/// The reasons for which a picture is not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The storage failed.
    #[error("could not store the bytes")]
    Storage(#[from] StorageError),
    /// The tenant's plan allows no more, or there is no tenant.
    #[error("could not count the picture")]
    Usage(#[from] UsageError),
    /// The database refused. A violated foreign key means that the folder does not exist.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// An uploaded file.
#[derive(Debug)]
pub struct Upload {
    /// The name.
    pub name: Name,
    /// The tags, by which people find it.
    pub tags: Vec<String>,
    /// Its format and size.
    pub picture: Picture,
    /// The bytes of the JPEG or PNG file.
    pub bytes: Bytes,
}

/// Stores the bytes of a picture. Then either add its row ([`add`]), or drop the bytes
/// ([`drop_bytes`]).
pub async fn store_bytes(services: &Services, folder: &FolderRow, upload: Upload) -> Result<NewAsset, UploadError> {
    let asset = NewAsset {
        id: AssetId::new(),
        tenant_id: folder.tenant_id,
        folder_id: folder.id,
        name: upload.name.into(),
        picture: upload.picture,
        size_bytes: upload.bytes.len(),
        tags: upload.tags,
        source_asset_id: None,
    };
    services.storage.put(&NewAsset::storage_key(asset.tenant_id, asset.id), upload.bytes).await?;
    Ok(asset)
}

/// Adds the row of a picture whose bytes are stored.
///
/// # Errors
/// [`UploadError`], with no row once the transaction is dropped.
pub async fn add(tx: &mut Tx, services: &Services, actor: &Actor, asset: &NewAsset) -> Result<AssetRow, UploadError> {
    store::insert_asset(tx, asset).await?;
    let row = store::get_asset(tx, asset.id).await?.ok_or(sqlx::Error::RowNotFound)?;
    usage::take_image(tx, &services.plans, asset.tenant_id, asset.size_bytes).await?;
    let details = json!({ "name": asset.name, "size_bytes": asset.size_bytes });
    let entry = Entry::new(asset.tenant_id, "asset.upload", "asset", asset.id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(row)
}

/// Drops the bytes of a picture that certainly has no row. If that fails, they only take room.
pub async fn drop_bytes(services: &Services, asset: &NewAsset) {
    let key = NewAsset::storage_key(asset.tenant_id, asset.id);
    if let Err(error) = services.storage.delete(&key).await {
        tracing::warn!(key, %error, "bytes of a refused picture stay in the storage");
    }
}
