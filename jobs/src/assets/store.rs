//! The SQL of folders and pictures.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Picture;
use crate::{
    ids::{AssetId, FolderId, TenantId},
    name::Name,
};

/// A folder.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct FolderRow {
    pub id: FolderId,
    pub tenant_id: TenantId,
    pub name: String,
    pub created_at: DateTime<Utc>,
}

/// A picture.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct AssetRow {
    pub id: AssetId,
    pub tenant_id: TenantId,
    pub folder_id: FolderId,
    pub name: String,
    pub content_type: String,
    pub size_bytes: i64,
    pub width_px: i32,
    pub height_px: i32,
    pub tags: Vec<String>,
    pub storage_key: String,
    pub source_asset_id: Option<AssetId>,
    pub created_at: DateTime<Utc>,
}

/// A picture to insert. Its bytes are stored first.
#[derive(Debug, Clone)]
pub struct NewAsset {
    /// Its id, chosen before the bytes are stored.
    pub id: AssetId,
    /// The tenant of the picture.
    pub tenant_id: TenantId,
    /// The folder of the picture.
    pub folder_id: FolderId,
    /// The name that people gave it.
    pub name: String,
    /// The format and the size in pixels.
    pub picture: Picture,
    /// Its size.
    pub size_bytes: usize,
    /// Tags to find it by.
    pub tags: Vec<String>,
    /// The picture it was rendered from.
    pub source_asset_id: Option<AssetId>,
}

impl NewAsset {
    /// Returns the storage key of a picture's bytes.
    #[must_use]
    pub fn storage_key(tenant_id: TenantId, id: AssetId) -> String {
        format!("{tenant_id}/assets/{id}")
    }
}

/// Inserts a folder. Returns `None` if the tenant has one of that name.
pub async fn insert_folder(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    name: &Name,
) -> Result<Option<FolderRow>, sqlx::Error> {
    sqlx::query_as!(
        FolderRow,
        r#"
        insert into asset_folders (id, tenant_id, name)
        values ($1, $2, $3)
        on conflict (tenant_id, name) do nothing
        returning id as "id: FolderId", tenant_id as "tenant_id: TenantId", name, created_at
        "#,
        FolderId::new().0,
        tenant_id.0,
        name.as_str()
    )
    .fetch_optional(conn)
    .await
}

/// Returns one folder.
pub async fn get_folder(conn: &mut PgConnection, id: FolderId) -> Result<Option<FolderRow>, sqlx::Error> {
    sqlx::query_as!(
        FolderRow,
        r#"
        select id as "id: FolderId", tenant_id as "tenant_id: TenantId", name, created_at
        from asset_folders
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns the folders of a tenant by name, behind the name `after`.
pub async fn list_folders(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<FolderRow>, sqlx::Error> {
    sqlx::query_as!(
        FolderRow,
        r#"
        select id as "id: FolderId", tenant_id as "tenant_id: TenantId", name, created_at
        from asset_folders
        where tenant_id = $1 and ($2::text is null or name > $2)
        order by name
        limit $3
        "#,
        tenant_id.0,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Inserts a picture unless it exists. Returns true if it was inserted.
pub async fn insert_asset(conn: &mut PgConnection, asset: &NewAsset) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "
        insert into brand_assets
          (id, tenant_id, folder_id, name, content_type, size_bytes, width_px, height_px, tags, storage_key,
           source_asset_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict (id) do nothing
        ",
        asset.id.0,
        asset.tenant_id.0,
        asset.folder_id.0,
        asset.name,
        asset.picture.content_type,
        i64::try_from(asset.size_bytes).unwrap_or(i64::MAX),
        asset.picture.width_px.cast_signed(),
        asset.picture.height_px.cast_signed(),
        &asset.tags,
        NewAsset::storage_key(asset.tenant_id, asset.id),
        asset.source_asset_id.map(|id| id.0)
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Returns one picture.
pub async fn get_asset(conn: &mut PgConnection, id: AssetId) -> Result<Option<AssetRow>, sqlx::Error> {
    sqlx::query_as!(
        AssetRow,
        r#"
        select id as "id: AssetId", tenant_id as "tenant_id: TenantId", folder_id as "folder_id: FolderId", name,
          content_type, size_bytes, width_px, height_px, tags, storage_key,
          source_asset_id as "source_asset_id: AssetId", created_at
        from brand_assets
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns the pictures of a folder, newest first, older than `after`.
pub async fn list_assets(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    folder_id: FolderId,
    after: Option<(DateTime<Utc>, uuid::Uuid)>,
    limit: i64,
) -> Result<Vec<AssetRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        AssetRow,
        r#"
        select id as "id: AssetId", tenant_id as "tenant_id: TenantId", folder_id as "folder_id: FolderId", name,
          content_type, size_bytes, width_px, height_px, tags, storage_key,
          source_asset_id as "source_asset_id: AssetId", created_at
        from brand_assets
        where tenant_id = $1 and folder_id = $2 and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
        order by created_at desc, id desc
        limit $5
        "#,
        tenant_id.0,
        folder_id.0,
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}
