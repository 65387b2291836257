//! Folders and pictures.

mod upload;
mod views;

use jobs::{
    assets::{
        self, Overlay, Upload, UploadError,
        store::{self, AssetRow, FolderRow},
    },
    engine::Scope,
    ids::{AssetId, FolderId},
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::{Binary, Json},
};
use uuid::Uuid;

use self::{
    upload::{UploadForm, read_picture},
    views::{
        AcceptedOverlay, AssetView, Content, CreatedAsset, CreatedFolder, FolderView, NewFolder, NewOverlay,
        OverlayView,
    },
};
use crate::{
    ApiError,
    api::{Tag, jobs::EnqueuedView, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{
        Body,
        paging::{Page, Paging},
    },
    state::AppState,
};

pub(crate) struct AssetsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Assets")]
impl AssetsApi {
    /// Make a folder.
    #[oai(path = "/folders", method = "post", operation_id = "create_folder")]
    async fn create_folder(
        &self,
        #[oai(scope = "Needs::AssetsWrite")] caller: Caller,
        body: Body<NewFolder>,
    ) -> Result<Answered<CreatedFolder>, ApiError> {
        let (tenant_id, services) = (caller.tenant(body.tenant_id)?, &self.state.services);
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        let folder = assets::create_folder(&mut tx, services, caller.actor(), tenant_id, &body.name.0).await?;
        let folder = folder.ok_or_else(|| {
            ApiError::conflict(ErrorCode::FolderExists, "A folder of that name exists: use it, or choose another name.")
        })?;
        tx.answer(CreatedFolder::Created(Json(folder.into()))).await
    }

    /// List the folders of a tenant, by name.
    #[oai(path = "/tenants/:id/folders", method = "get", operation_id = "list_folders")]
    async fn list_folders(
        &self,
        #[oai(scope = "Needs::AssetsRead")] caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<FolderView>>, ApiError> {
        let paging = Paging::<String>::read(&after, &limit)?;
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let mut folders = store::list_folders(&mut tx, id, paging.after.as_deref(), paging.rows()).await?;
        let next = paging.next(&mut folders, |folder| folder.name.clone());
        Ok(Json(Page { items: folders.into_iter().map(FolderView::from).collect(), next }))
    }

    /// List the pictures of a folder, newest first.
    #[oai(path = "/folders/:id/assets", method = "get", operation_id = "list_assets")]
    async fn list_assets(
        &self,
        #[oai(scope = "Needs::AssetsRead")] caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<AssetView>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let folder = self.folder(&caller, id.0).await?;
        let mut tx = self.state.db.read(Scope::Tenant(folder.tenant_id)).await?;
        let mut assets = store::list_assets(&mut tx, folder.tenant_id, folder.id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut assets, |asset| (asset.created_at, asset.id.0));
        Ok(Json(Page { items: assets.into_iter().map(AssetView::from).collect(), next }))
    }

    /// Upload a picture.
    #[oai(path = "/folders/:id/assets", method = "post", operation_id = "upload_asset")]
    async fn upload(
        &self,
        #[oai(scope = "Needs::AssetsWrite")] caller: Caller,
        id: Path<Uuid>,
        form: UploadForm,
    ) -> Result<Answered<CreatedAsset>, ApiError> {
        let services = &self.state.services;
        let folder = self.folder(&caller, id.0).await?;
        let UploadForm { name, tags, form } = form;
        let (picture, bytes, _held) = read_picture(&self.state.budgets, form).await?;
        let upload = Upload { name, tags, picture, bytes };
        let stored = assets::store_bytes(services, &folder, upload).await?;
        let mut tx = self.state.db.write(Scope::Tenant(folder.tenant_id), &caller).await?;
        match assets::add(&mut tx, services, caller.actor(), &stored).await {
            Ok(asset) => tx.answer(CreatedAsset::Created(Json(asset.into()))).await,
            Err(error) => {
                drop(tx);
                assets::drop_bytes(services, &stored).await;
                Err(error.into())
            }
        }
    }

    /// Get the bytes of a picture.
    #[oai(path = "/assets/:id/content", method = "get", operation_id = "get_asset_content")]
    async fn content(
        &self,
        #[oai(scope = "Needs::AssetsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Content, ApiError> {
        let asset = self.asset(&caller, id.0).await?;
        let (bytes, size_bytes) = self.state.services.storage.stream(&asset.storage_key).await?;
        Ok(Content::Bytes(Binary(poem::Body::from_bytes_stream(bytes)), asset.content_type, size_bytes))
    }

    /// Put text over a picture.
    ///
    /// The result is a new picture.
    #[oai(path = "/assets/:id/overlay", method = "post", operation_id = "create_overlay")]
    async fn overlay(
        &self,
        #[oai(scope = "Needs::AssetsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<NewOverlay>,
    ) -> Result<Answered<AcceptedOverlay>, ApiError> {
        let (asset, services) = (self.asset(&caller, id.0).await?, &self.state.services);
        let overlay = Overlay::from(body.0);
        let mut tx = self.state.db.write(Scope::Tenant(asset.tenant_id), &caller).await?;
        let (rendered, job) = assets::request_overlay(&mut tx, services, caller.actor(), &asset, overlay).await?;
        let view = OverlayView { job: EnqueuedView::from(job), asset_id: rendered.0 };
        tx.answer(AcceptedOverlay::Accepted(Json(view), format!("/api/v1/jobs/{}", job.id))).await
    }
}

impl AssetsApi {
    async fn folder(&self, caller: &Caller, id: Uuid) -> Result<FolderRow, ApiError> {
        let mut tx = self.state.db.read(caller.scope()?).await?;
        store::get_folder(&mut tx, FolderId(id)).await?.ok_or_else(|| ApiError::not_found("folder"))
    }

    async fn asset(&self, caller: &Caller, id: Uuid) -> Result<AssetRow, ApiError> {
        let mut tx = self.state.db.read(caller.scope()?).await?;
        store::get_asset(&mut tx, AssetId(id)).await?.ok_or_else(|| ApiError::not_found("picture"))
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Storage(error) => error.into(),
            UploadError::Usage(error) => error.into(),
            UploadError::Database(error) => error.into(),
        }
    }
}
