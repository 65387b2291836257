//! Uploads photos and puts text over them.

use std::{fs, io::Cursor, path::Path};

use anyhow::Context as _;
use image::ImageReader;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Stage;
use crate::{
    restaurant::{PROFILES, Profile, Rendered},
    sandbox::Picture,
    say,
    views::Asset,
};

/// Uploads each restaurant's photo, has its pictures rendered, and saves those to disk.
pub(super) async fn render(
    stage: &Stage,
    tenants: &[Uuid],
    photos: Vec<Vec<u8>>,
) -> anyhow::Result<Vec<Vec<Rendered>>> {
    say::heading(3, "Pictures");
    say::asked("A folder, a photo in it, and three jobs that put text over the photo: POST /assets/{id}/overlay.");
    fs::create_dir_all(&stage.pictures).with_context(|| format!("could not make {}", stage.pictures.display()))?;
    let mut all = Vec::new();
    for ((profile, &tenant_id), photo) in PROFILES.iter().zip(tenants).zip(photos) {
        let folder = stage.api.create_folder(tenant_id, "Photos").await?;
        let asset = stage.api.upload(folder, profile.photo_name, photo).await?;
        let size = format!("{} x {} pixels, {} kB", asset.width_px, asset.height_px, asset.size_bytes / 1000);
        say::asked(&format!("{}: {} uploaded, {size}", profile.name, profile.photo_name));
        all.push(overlays(stage, profile, &asset).await?);
    }
    Ok(all)
}

async fn overlays(stage: &Stage, profile: &Profile, photo: &Asset) -> anyhow::Result<Vec<Rendered>> {
    let mut renderings = Vec::new();
    for (text, position) in profile.overlays {
        renderings.push((text, stage.api.overlay(photo.id, text, position).await?));
    }
    let mut all = Vec::new();
    for (at, (text, rendering)) in renderings.into_iter().enumerate() {
        let job = stage.api.completed(rendering.job_id).await?;
        let path = stage.pictures.join(format!("{}-{}.jpg", profile.file_stem, at + 1));
        let picture = keep(stage, rendering.asset_id, &path).await?;
        say::job(&job, &format!("{text:?}, {} x {}", picture.width, picture.height));
        all.push(Rendered { asset_id: rendering.asset_id, source_id: photo.id, picture, path });
    }
    Ok(all)
}

/// Downloads a picture, saves it, and measures it as Facebook will.
async fn keep(stage: &Stage, asset_id: Uuid, path: &Path) -> anyhow::Result<Picture> {
    let bytes = stage.api.content(asset_id).await?;
    fs::write(path, &bytes).with_context(|| format!("could not write {}", path.display()))?;
    let (width, height) = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?.into_dimensions()?;
    Ok(Picture { sha256: hex::encode(Sha256::digest(&bytes)), width, height })
}
