//! `{page}/photos`: receives, checks and publishes a picture.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ledger::Draft;
use crate::meta::access::{check_may_publish, check_may_read, page_caller};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::feed::{checked_message, draft, refuse_unsupported};
use crate::meta::node::{check_photo_fields, view_photo};
use crate::operation::Operation;
use crate::params::Params;
use crate::picture::{Picture, inspect};
use crate::world::World;

const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_FETCH_BYTES: usize = 12 * 1024 * 1024;

/// Reads the picture of a request: the uploaded `source`, or the file at `url`. Returns `None` if
/// the request has neither.
pub(crate) async fn receive(params: &Params) -> Option<Result<(Picture, Bytes), GraphError>> {
    let bytes = match (params.file("source"), params.get("url")) {
        (Some(bytes), _) => bytes.clone(),
        (None, Some(url)) => match fetch(url).await {
            Some(bytes) => bytes,
            None => return Some(Err(bad_picture())),
        },
        (None, None) => return None,
    };
    let looked_into = tokio::task::spawn_blocking(move || inspect(&bytes).map(|picture| (picture, bytes))).await;
    Some(looked_into.ok().flatten().ok_or_else(bad_picture))
}

/// Publishes the received picture of a call, or stages it for a later post.
pub(crate) fn publish(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = page_caller(world, call, call.subject())?;
    check_may_publish(world, &token, &page_id)?;
    refuse_unsupported(call)?;
    if call.params.has_prefix("attached_media") {
        return Err(GraphError::invalid("Param attached_media is not allowed here"));
    }
    let caption = checked_message(world, call, "caption")?;
    let message = checked_message(world, call, "message")?.or(caption);
    let unpublished = !call.flag("published", true)?;
    let picture = match &call.picture {
        Some(picture) => picture.clone()?,
        None => return Err(GraphError::new(324, "(#324) Requires upload file")),
    };
    if picture.0.size_bytes > world.switches.picture_limit_bytes {
        return Err(too_large());
    }
    let fields = call.fields()?;
    check_photo_fields(fields.as_deref().unwrap_or_default())?;
    let (shown, caption) = (world.clock.shown(), message.clone());
    let photo_id = world.ledger.photos.receive(shown, &page_id, picture, caption, unpublished);
    let mut answer = json!({"id": photo_id});
    if !unpublished {
        let draft = draft(world, Operation::PublishPhoto, &token, &page_id);
        let effect = world.ledger.publish(Draft { message, photo_ids: vec![photo_id.clone()], ..draft });
        if !world.switches.omit_post_id {
            answer["post_id"] = json!(effect.post_id);
        }
    }
    if fields.is_some() {
        check_may_read(world, &token).map_err(|error| error.after_write(answer.clone()))?;
    }
    match (fields, world.ledger.photo(&photo_id)) {
        (Some(fields), Some(photo)) => view_photo(world, call, photo, &fields),
        _ => Ok(answer),
    }
}

async fn fetch(url: &str) -> Option<Bytes> {
    let client = reqwest::Client::builder().timeout(FETCH_TIMEOUT).no_proxy().build().ok()?;
    let mut response = client.get(url).send().await.ok()?.error_for_status().ok()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_FETCH_BYTES {
            return None;
        }
    }
    Some(bytes.into())
}

fn bad_picture() -> GraphError {
    GraphError::new(324, "(#324) Missing or invalid image file")
}

fn too_large() -> GraphError {
    GraphError::new(100, "Invalid parameter").subcode(1_366_046).for_people(
        "Can't Read Files",
        "Your photos couldn't be uploaded. Photos should be less than 4 MB and saved as JPG, PNG, GIF, TIFF, HEIF or \
         WebP files.",
    )
}
