//! The views and bodies of folders and pictures.

use chrono::{DateTime, Utc};
use jobs::assets::{
    Overlay, Position,
    store::{AssetRow, FolderRow},
};
use poem_openapi::{
    ApiResponse, Enum, Object,
    payload::{Binary, Json},
};
use uuid::Uuid;

use crate::{
    api::jobs::EnqueuedView,
    http::{Named, paging::Listed},
};

/// A folder to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewFolder {
    pub(super) tenant_id: Uuid,
    pub(super) name: Named<1, 200>,
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

impl Listed for FolderView {
    const PAGE: &'static str = "FolderPage";
    const DESCRIPTION: &'static str = "A page of folders.";
}

/// A picture.
#[derive(Debug, Object)]
pub(crate) struct AssetView {
    id: Uuid,
    tenant_id: Uuid,
    folder_id: Uuid,
    name: String,
    /// `image/jpeg` or `image/png`, detected from the bytes.
    content_type: String,
    size_bytes: i64,
    width_px: i32,
    height_px: i32,
    tags: Vec<String>,
    /// The id of the picture that it was rendered from.
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

/// The position of a text on a picture.
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
    /// The position of the text; `bottom` by default.
    position: Option<OverlayPosition>,
}

impl From<NewOverlay> for Overlay {
    fn from(new: NewOverlay) -> Self {
        let position = match new.position {
            Some(OverlayPosition::Top) => Position::Top,
            Some(OverlayPosition::Center) => Position::Center,
            Some(OverlayPosition::Bottom) | None => Position::Bottom,
        };
        Self { text: new.text, position }
    }
}

/// A picture that a job renders.
#[derive(Debug, Object)]
pub(crate) struct OverlayView {
    #[oai(flatten)]
    pub(super) job: EnqueuedView,
    /// The id of the picture. The picture exists when the job has completed.
    pub(super) asset_id: Uuid,
}

#[derive(ApiResponse)]
pub(crate) enum CreatedFolder {
    /// The folder is made.
    #[oai(status = 201)]
    Created(Json<FolderView>),
}

#[derive(ApiResponse)]
pub(crate) enum CreatedAsset {
    /// The picture is stored.
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
    /// The bytes of the picture.
    #[oai(status = 200)]
    Bytes(
        Binary<poem::Body>,
        #[oai(header = "Content-Type")] String,
        /// The number of bytes.
        #[oai(header = "Content-Length")]
        u64,
    ),
}
