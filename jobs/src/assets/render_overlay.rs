//! Renders a picture with text over it.

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Overlay, Picture,
    store::{self, AssetRow, NewAsset},
};
use crate::{
    engine::{Cause, CauseClass, Done, Job, JobContext, JobError, Priority, Queue, Retry},
    ids::AssetId,
    queues,
    services::Services,
    tenants::usage,
};

/// Draws `overlay` over the picture `asset_id`, as the new picture `rendered_id` in the same
/// folder.
///
/// Safe to repeat: the new picture's id is chosen beforehand. A second run stores the same bytes
/// under the same key, and finds the row there. An existing picture is never changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct RenderOverlay {
    /// The picture to draw over.
    pub asset_id: AssetId,
    /// The id of the result.
    pub rendered_id: AssetId,
    /// The text to draw.
    pub overlay: Overlay,
}

impl Job for RenderOverlay {
    type Services = Services;

    const KIND: &'static str = "render_overlay";
    const QUEUE: Queue = queues::MEDIA;
    const RETRY: Retry = Retry::QUICK;
    const PRIORITY: Priority = Priority::Interactive;
    const TIMEOUT: Duration = Duration::from_mins(2);
    const PERMISSION: Option<&'static str> = Some("assets:write");

    fn unique_key(&self) -> Option<String> {
        Some(self.rendered_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let source = store::get_asset(&mut tx, self.asset_id).await?;
        let there = store::get_asset(&mut tx, self.rendered_id).await?;
        drop(tx);
        if there.is_some() {
            return Ok(Done::nothing("there is a picture with that id already"));
        }
        let Some(source) = source else {
            return Ok(Done::nothing("the picture was deleted"));
        };
        let bytes = cx.services().storage.get(&source.storage_key).await?;
        let overlay = self.overlay;
        let (jpeg, picture) = draw(bytes.into(), overlay).await?;
        let asset = rendered(self.rendered_id, source, picture, jpeg.len());
        cx.services().storage.put(&NewAsset::storage_key(asset.tenant_id, asset.id), jpeg.into()).await?;
        let mut tx = cx.begin().await?;
        if store::insert_asset(&mut tx, &asset).await? {
            usage::add_storage(&mut tx, asset.tenant_id, asset.size_bytes).await?;
        }
        tx.complete(json!({ "asset_id": asset.id })).await
    }
}

/// Draws in a blocking thread, because drawing keeps a processor busy and tasks wait for the
/// network.
async fn draw(bytes: Vec<u8>, overlay: Overlay) -> Result<(Vec<u8>, Picture), JobError> {
    tokio::task::spawn_blocking(move || {
        let fail = |words: &str, error: anyhow::Error| JobError::Fail(Cause::new(CauseClass::Permanent, words, error));
        let decoded = drawing::decode(&bytes)
            .map_err(|error| fail("The picture cannot be read: upload it again.", error.into()))?;
        let drawn = overlay.draw(decoded);
        drawn.map_err(|error| fail("The text does not fit on the picture: shorten it.", error))
    })
    .await
    .context("drawing was cut off")?
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

#[cfg(test)]
mod tests {
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{assets::Position, engine::JobState, testing::Bench};

    fn job(asset_id: AssetId, text: &str) -> RenderOverlay {
        let overlay = Overlay { text: text.to_owned(), position: Position::Top };
        RenderOverlay { asset_id, rendered_id: AssetId::new(), overlay }
    }

    async fn rendered(bench: &Bench, id: AssetId) -> Option<AssetRow> {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        store::get_asset(&mut tx, id).await.unwrap()
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let id = AssetId(Uuid::nil());
        let overlay = Overlay { text: "Hi".to_owned(), position: Position::Bottom };
        let payload = serde_json::to_value(RenderOverlay { asset_id: id, rendered_id: id, overlay }).unwrap();
        let nil = "00000000-0000-0000-0000-000000000000";
        let golden = json!({ "asset_id": nil, "rendered_id": nil, "overlay": { "text": "Hi", "position": "bottom" } });
        assert_eq!(payload, golden);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_picture_is_rendered_once_however_often_it_runs(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let source = bench.picture().await;
        let render = job(source, "Pizza night");
        let id = bench.enqueue(&render).await;
        bench.drain().await;
        assert_eq!(bench.job(id).await.state, JobState::Completed);
        let asset = rendered(&bench, render.rendered_id).await.unwrap();
        assert_eq!((asset.content_type.as_str(), asset.source_asset_id), ("image/jpeg", Some(source)));
        assert_eq!(asset.name, "photo-text.jpg");
        let bytes = bench.engine.services.storage.get(&asset.storage_key).await.unwrap();
        assert_eq!(i64::try_from(bytes.len()).unwrap(), asset.size_bytes);

        bench.enqueue(&render).await;
        bench.drain().await;
        assert_eq!(rendered(&bench, render.rendered_id).await.unwrap().created_at, asset.created_at);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_deleted_picture_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let id = bench.enqueue(&job(AssetId::new(), "x")).await;
        bench.drain().await;
        assert_eq!(bench.job(id).await.result.unwrap()["nothing"], "the picture was deleted");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_file_that_is_gone_fails_with_words_for_people(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let source = bench.picture().await;
        bench.execute("update brand_assets set storage_key = 'gone' where id = $1", source.0).await;
        let id = bench.enqueue(&job(source, "x")).await;
        bench.drain().await;
        let row = bench.job(id).await;
        assert_eq!(row.state, JobState::Discarded);
        assert_eq!(row.error.unwrap()["message"], "The picture's file is gone: upload it again.");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_text_that_does_not_fit_fails_at_once(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let id = bench.enqueue(&job(bench.picture().await, &"word ".repeat(3_000))).await;
        bench.drain().await;
        assert_eq!((bench.job(id).await.state, bench.job(id).await.attempt), (JobState::Discarded, 1));
    }
}
