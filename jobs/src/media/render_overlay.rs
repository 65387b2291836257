//! Renders a picture with text over it.

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Overlay;
use crate::{
    assets::store::{self, AssetRow, NewAsset},
    assets::{Picture, PictureError, picture},
    engine::{Cause, Done, Job, JobContext, JobError, Queue, Retry},
    ids::AssetId,
};

/// Draw `overlay` over the picture `asset_id`, as the new picture `rendered_id` in the same folder.
///
/// Safe to repeat: the new picture's id is chosen beforehand, so a second run stores the same bytes under the same key and
/// finds the row there.
#[derive(Debug, Serialize, Deserialize)]
pub struct RenderOverlay {
    /// What to draw over.
    pub asset_id: AssetId,
    /// The id of the result.
    pub rendered_id: AssetId,
    /// What to draw.
    pub overlay: Overlay,
}

impl Job for RenderOverlay {
    const KIND: &'static str = "render_overlay";
    const QUEUE: Queue = Queue::Media;
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn unique_key(&self) -> Option<String> {
        Some(self.rendered_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let source = store::get_asset(&mut tx, self.asset_id).await?;
        drop(tx);
        let Some(source) = source else {
            return Ok(Done::nothing("the picture was deleted"));
        };
        let bytes = cx.services().storage.get(&source.storage_key).await?;
        let overlay = self.overlay;
        let (jpeg, picture) = draw(bytes.into(), overlay).await?;
        let asset = rendered(self.rendered_id, source, picture, jpeg.len());
        cx.services().storage.put(&NewAsset::storage_key(asset.tenant_id, asset.id), jpeg.into()).await?;
        let mut tx = cx.begin().await?;
        store::insert_asset(&mut tx, &asset).await?;
        tx.complete(json!({ "asset_id": asset.id })).await
    }
}

/// Drawing takes a processor: it runs beside the tasks that wait for the network.
async fn draw(bytes: Vec<u8>, overlay: Overlay) -> Result<(Vec<u8>, Picture), JobError> {
    tokio::task::spawn_blocking(move || {
        let decoded = picture::decode(&bytes)?;
        overlay.draw(decoded).map_err(|error| {
            JobError::Fail(Cause::new("permanent", "The text does not fit on the picture: shorten it.", error))
        })
    })
    .await
    .context("drawing was cut off")?
}

impl From<PictureError> for JobError {
    fn from(error: PictureError) -> Self {
        Self::Fail(Cause::new("permanent", "The picture cannot be read: upload it again.", error))
    }
}

fn rendered(id: AssetId, source: AssetRow, picture: Picture, size_bytes: usize) -> NewAsset {
    let stem = source.name.rsplit_once('.').map_or(source.name.as_str(), |(stem, _)| stem);
    let name: String = stem.chars().take(200).chain("-text.jpg".chars()).collect();
    NewAsset {
        id,
        tenant_id: source.tenant_id,
        folder_id: source.folder_id,
        name,
        picture,
        size_bytes,
        tags: source.tags,
        source_asset_id: Some(source.id),
    }
}
