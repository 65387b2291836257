//! Folders and pictures.

mod upload;

use chrono::{DateTime, Utc};
use jobs::{
    assets::{
        Overlay, Position, RenderOverlay,
        store::{self, AssetRow, FolderRow, NewAsset},
    },
    audit::Entry,
    engine::NewJob,
    ids::{AssetId, FolderId},
    tenants::usage,
};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::{Binary, Json},
};
use serde_json::json;
use uuid::Uuid;

use self::upload::{UploadForm, read_picture};
use crate::{
    ApiError,
    api::{Tag, jobs::EnqueuedView, require_tenant},
    auth::Caller,
    error::ErrorCode,
    http::{
        Body,
        paging::{Listed, Page, Paging},
    },
    state::AppState,
};

/// A folder to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewFolder {
    tenant_id: Uuid,
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
}

/// A folder of pictures.
#[derive(Debug, Object)]
pub(crate) struct FolderView {
    id: Uuid,
    tenant_id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<FolderRow> for FolderView {
    fn from(row: FolderRow) -> Self {
        Self { id: row.id.0, tenant_id: row.tenant_id.0, name: row.name, created_at: row.created_at }
    }
}

/// The folders of a tenant.
#[derive(Debug, Object)]
pub(crate) struct FolderList {
    items: Vec<FolderView>,
}

/// A picture.
#[derive(Debug, Object)]
pub(crate) struct AssetView {
    id: Uuid,
    tenant_id: Uuid,
    folder_id: Uuid,
    name: String,
    /// `image/jpeg` or `image/png`, told from the bytes.
    content_type: String,
    size_bytes: i64,
    width_px: i32,
    height_px: i32,
    tags: Vec<String>,
    /// The picture it was rendered from.
    source_asset_id: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl From<AssetRow> for AssetView {
    fn from(row: AssetRow) -> Self {
        Self {
            id: row.id.0,
            tenant_id: row.tenant_id.0,
            folder_id: row.folder_id.0,
            name: row.name,
            content_type: row.content_type,
            size_bytes: row.size_bytes,
            width_px: row.width_px,
            height_px: row.height_px,
            tags: row.tags,
            source_asset_id: row.source_asset_id.map(|id| id.0),
            created_at: row.created_at,
        }
    }
}

impl Listed for AssetView {
    const PAGE: &'static str = "AssetPage";
    const DESCRIPTION: &'static str = "A page of pictures.";
}

/// Where the text goes.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum OverlayPosition {
    Top,
    Center,
    Bottom,
}

/// Text to put over a picture.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewOverlay {
    #[oai(validator(min_length = 1, max_length = 300))]
    text: String,
    /// Along the lower edge if absent.
    position: Option<OverlayPosition>,
}

/// A picture that a job renders.
#[derive(Debug, Object)]
pub(crate) struct OverlayView {
    #[oai(flatten)]
    job: EnqueuedView,
    /// The picture that will be there when the job has completed.
    asset_id: Uuid,
}

#[derive(ApiResponse)]
pub(crate) enum CreatedFolder {
    /// The folder is there.
    #[oai(status = 201)]
    Created(Json<FolderView>),
}

#[derive(ApiResponse)]
pub(crate) enum CreatedAsset {
    /// The picture is there.
    #[oai(status = 201)]
    Created(Json<AssetView>),
}

#[derive(ApiResponse)]
pub(crate) enum AcceptedOverlay {
    /// A job renders the picture.
    #[oai(status = 202)]
    Accepted(
        Json<OverlayView>,
        /// The job's address.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(crate) enum Content {
    /// The bytes.
    #[oai(status = 200)]
    Bytes(
        Binary<poem::Body>,
        #[oai(header = "Content-Type")] String,
        /// How many bytes they are.
        #[oai(header = "Content-Length")]
        u64,
    ),
}

pub(crate) struct AssetsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Assets")]
impl AssetsApi {
    /// Make a folder.
    #[oai(path = "/folders", method = "post", operation_id = "create_folder")]
    async fn create_folder(&self, caller: Caller, body: Body<NewFolder>) -> Result<CreatedFolder, ApiError> {
        let tenant_id = caller.tenant(body.tenant_id)?;
        let mut tx = self.state.db.tenant(tenant_id).await?;
        let folder = store::insert_folder(&mut tx, tenant_id, &body.name).await?.ok_or_else(|| {
            ApiError::conflict(ErrorCode::FolderExists, "A folder of that name exists: use it, or take another name.")
        })?;
        let entry = Entry::new(tenant_id, "folder.create", "folder", folder.id, json!({ "name": folder.name }));
        self.state.record(&mut tx, caller.actor(), entry).await?;
        tx.commit().await?;
        Ok(CreatedFolder::Created(Json(folder.into())))
    }

    /// The folders of a tenant, by name.
    #[oai(path = "/tenants/:id/folders", method = "get", operation_id = "list_folders")]
    async fn list_folders(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<FolderList>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.tenant(id).await?;
        require_tenant(&mut tx, id).await?;
        let folders = store::list_folders(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Json(FolderList { items: folders.into_iter().map(FolderView::from).collect() }))
    }

    /// The pictures of a folder, newest first.
    #[oai(path = "/folders/:id/assets", method = "get", operation_id = "list_assets")]
    async fn list_assets(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<AssetView>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let folder = self.folder(&caller, id.0).await?;
        let mut tx = self.state.db.tenant(folder.tenant_id).await?;
        let mut assets = store::list_assets(&mut tx, folder.tenant_id, folder.id, paging.after, paging.rows()).await?;
        tx.commit().await?;
        let next = paging.next(&mut assets, |asset| (asset.created_at, asset.id.0));
        Ok(Json(Page { items: assets.into_iter().map(AssetView::from).collect(), next }))
    }

    /// Upload a picture.
    #[oai(path = "/folders/:id/assets", method = "post", operation_id = "upload_asset")]
    async fn upload(&self, caller: Caller, id: Path<Uuid>, form: UploadForm) -> Result<CreatedAsset, ApiError> {
        let folder = self.folder(&caller, id.0).await?;
        let asset = self.keep(&caller, &folder, form).await?;
        Ok(CreatedAsset::Created(Json(asset.into())))
    }

    /// The bytes of a picture.
    #[oai(path = "/assets/:id/content", method = "get", operation_id = "get_asset_content")]
    async fn content(&self, caller: Caller, id: Path<Uuid>) -> Result<Content, ApiError> {
        let asset = self.asset(&caller, id.0).await?;
        let (bytes, size_bytes) = self.state.services.storage.stream(&asset.storage_key).await?;
        Ok(Content::Bytes(Binary(poem::Body::from_bytes_stream(bytes)), asset.content_type, size_bytes))
    }

    /// Put text over a picture, as a new picture.
    #[oai(path = "/assets/:id/overlay", method = "post", operation_id = "create_overlay")]
    async fn overlay(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<NewOverlay>,
    ) -> Result<AcceptedOverlay, ApiError> {
        let asset = self.asset(&caller, id.0).await?;
        let position = match body.position {
            Some(OverlayPosition::Top) => Position::Top,
            Some(OverlayPosition::Center) => Position::Center,
            Some(OverlayPosition::Bottom) | None => Position::Bottom,
        };
        let overlay = Overlay { text: body.0.text, position };
        let job = RenderOverlay { asset_id: asset.id, rendered_id: AssetId::new(), overlay };
        let mut tx = self.state.db.tenant(asset.tenant_id).await?;
        let enqueued = tx.enqueue(NewJob::new(asset.tenant_id, &job)).await?;
        let details = json!({ "rendered_id": job.rendered_id });
        let entry = Entry::new(asset.tenant_id, "asset.overlay", "asset", asset.id, details);
        self.state.record(&mut tx, caller.actor(), entry).await?;
        tx.commit().await?;
        let view = OverlayView { job: EnqueuedView::from(enqueued), asset_id: job.rendered_id.0 };
        Ok(AcceptedOverlay::Accepted(Json(view), format!("/api/v1/jobs/{}", enqueued.id)))
    }
}

impl AssetsApi {
    async fn folder(&self, caller: &Caller, id: Uuid) -> Result<FolderRow, ApiError> {
        let mut tx = self.state.db.begin(caller.scope()?).await?;
        let folder = store::get_folder(&mut tx, FolderId(id)).await?;
        tx.commit().await?;
        folder.ok_or_else(|| ApiError::not_found("folder"))
    }

    async fn asset(&self, caller: &Caller, id: Uuid) -> Result<AssetRow, ApiError> {
        let mut tx = self.state.db.begin(caller.scope()?).await?;
        let asset = store::get_asset(&mut tx, AssetId(id)).await?;
        tx.commit().await?;
        asset.ok_or_else(|| ApiError::not_found("picture"))
    }

    /// Stores the bytes first: a row never points at nothing.
    async fn keep(&self, caller: &Caller, folder: &FolderRow, form: UploadForm) -> Result<AssetRow, ApiError> {
        let UploadForm { name, tags, form } = form;
        let (picture, bytes, _held) = read_picture(&self.state.budgets, form).await?;
        let asset = NewAsset {
            id: AssetId::new(),
            tenant_id: folder.tenant_id,
            folder_id: folder.id,
            name,
            picture,
            size_bytes: bytes.len(),
            tags,
            source_asset_id: None,
        };
        let key = NewAsset::storage_key(asset.tenant_id, asset.id);
        self.state.services.storage.put(&key, bytes).await?;
        let inserted = self.insert(caller, &asset).await;
        if let Err(ApiError::Forbidden(_) | ApiError::NotFound(_)) = inserted {
            // There certainly is no row. A file that stays without one only takes room.
            let _ = self.state.services.storage.delete(&key).await;
        }
        inserted
    }

    async fn insert(&self, caller: &Caller, asset: &NewAsset) -> Result<AssetRow, ApiError> {
        let mut tx = self.state.db.tenant(asset.tenant_id).await?;
        store::insert_asset(&mut tx, asset).await?;
        let row = store::get_asset(&mut tx, asset.id).await?.ok_or_else(|| ApiError::not_found("picture"))?;
        usage::take_image(&mut tx, &self.state.services.plans, asset.tenant_id, asset.size_bytes).await?;
        let details = json!({ "name": asset.name, "size_bytes": asset.size_bytes });
        let entry = Entry::new(asset.tenant_id, "asset.upload", "asset", asset.id, details);
        self.state.record(&mut tx, caller.actor(), entry).await?;
        tx.commit().await?;
        Ok(row)
    }
}
