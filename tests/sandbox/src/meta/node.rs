//! Posts and pictures as readers see them, with all their fields.

use serde_json::{Value, json};

use crate::clock::graph_time;
use crate::ledger::{Effect, Named, Photo};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::fields::{Field, check, select};
use crate::switches::HiddenField;
use crate::text::altered;
use crate::world::World;

const POST: [&str; 11] = [
    "id",
    "message",
    "created_time",
    "updated_time",
    "permalink_url",
    "full_picture",
    "is_published",
    "status_type",
    "from",
    "application",
    "attachments",
];
const PHOTO: [&str; 9] =
    ["id", "page_story_id", "name", "created_time", "updated_time", "link", "picture", "from", "images"];
const ATTACHMENT: [&str; 8] =
    ["media", "media_type", "type", "target", "url", "unshimmed_url", "description", "subattachments"];
const NODES: [(&str, &[&str]); 6] = [
    ("from", &["id", "name"]),
    ("application", &["id", "name", "link"]),
    ("attachments", &ATTACHMENT),
    ("subattachments", &ATTACHMENT),
    ("media", &["image"]),
    ("target", &["id", "url"]),
];

/// Returns a post with the requested fields; the id is always included.
pub(crate) fn view_post(world: &World, call: &Call, effect: &Effect, fields: &[Field]) -> Result<Value, GraphError> {
    check_post_fields(fields)?;
    let mut post = select(&post(world, call, effect), fields);
    post["id"] = json!(effect.post_id);
    Ok(post)
}

/// Checks that posts have these fields, before a call has an effect.
pub(crate) fn check_post_fields(fields: &[Field]) -> Result<(), GraphError> {
    check("Post", fields, &POST, &NODES)
}

/// Returns a picture with the requested fields; the id is always included.
pub(crate) fn view_photo(world: &World, call: &Call, photo: &Photo, fields: &[Field]) -> Result<Value, GraphError> {
    check_photo_fields(fields)?;
    let source = source(call, &photo.id);
    let name = world.people.iter().find_map(|person| person.page(&photo.page_id)).map(|page| &page.name);
    let node = json!({
        "page_story_id": photo.post_id.as_ref().filter(|_| !hides(world, HiddenField::PageStoryId)),
        "name": photo.caption.as_deref().map(|caption| altered(caption, &world.switches.text_alterations)),
        "created_time": graph_time(photo.uploaded_at),
        "updated_time": graph_time(photo.uploaded_at),
        "link": photo_address(photo),
        "picture": source,
        "from": {"id": photo.page_id, "name": name},
        "images": [{"width": photo.picture.width, "height": photo.picture.height, "source": source}],
    });
    let mut node = select(&node, fields);
    node["id"] = json!(photo.id);
    Ok(node)
}

/// Checks that pictures have these fields, before a call has an effect.
pub(crate) fn check_photo_fields(fields: &[Field]) -> Result<(), GraphError> {
    check("Photo", fields, &PHOTO, &NODES)
}

fn post(world: &World, call: &Call, effect: &Effect) -> Value {
    let status_type = match (&effect.picture, &effect.link) {
        (Some(_), _) => "added_photos",
        (None, Some(_)) => "shared_story",
        (None, None) => "mobile_status_update",
    };
    let created_time = graph_time(effect.created_time);
    let message = effect.message.as_deref().map(|message| altered(message, &world.switches.text_alterations));
    let attachments =
        if hides(world, HiddenField::Attachments) { Value::Null } else { attachments(world, call, effect) };
    json!({
        "message": message,
        "created_time": created_time,
        "updated_time": created_time,
        "permalink_url": permalink(effect),
        "full_picture": effect.photo_id.as_deref().map(|id| source(call, id)),
        "is_published": effect.published,
        "status_type": status_type,
        "from": (!hides(world, HiddenField::From)).then_some(&effect.origin.from),
        "application": effect.origin.application.as_ref().filter(|_| !hides(world, HiddenField::Application)).map(application),
        "attachments": attachments,
    })
}

fn hides(world: &World, field: HiddenField) -> bool {
    world.switches.hidden_fields.contains(&field)
}

fn attachments(world: &World, call: &Call, effect: &Effect) -> Value {
    let photos = effect.photo_ids.iter().filter_map(|id| world.ledger.photos.find(id));
    let photos: Vec<&Photo> = photos.filter(|photo| !photo.deleted).collect();
    let mut attachment = match (photos.as_slice(), &effect.link) {
        ([], None) => return Value::Null,
        ([], Some(link)) => json!({
            "type": "share",
            "media_type": "link",
            "target": {"url": link},
            "url": link,
            "unshimmed_url": link,
        }),
        ([photo], _) => photo_attachment(call, photo),
        ([first, ..], _) => json!({
            "type": "album",
            "media_type": "album",
            "media": media(call, first),
            "target": {"id": effect.post_id.split('_').next_back(), "url": permalink(effect)},
            "url": permalink(effect),
            "subattachments": {"data": photos.iter().map(|photo| photo_attachment(call, photo)).collect::<Vec<_>>()},
        }),
    };
    if hides(world, HiddenField::AttachmentTargets) {
        hide_targets(&mut attachment);
    }
    json!({"data": [attachment]})
}

/// Removes every `target` from an attachment, and the addresses that contain it.
fn hide_targets(attachment: &mut Value) {
    let Some(members) = attachment.as_object_mut() else { return };
    members.retain(|name, _| !matches!(name.as_str(), "target" | "url"));
    let parts = members.get_mut("subattachments").and_then(|list| list["data"].as_array_mut());
    parts.into_iter().flatten().for_each(hide_targets);
}

fn photo_attachment(call: &Call, photo: &Photo) -> Value {
    let address = photo_address(photo);
    json!({
        "type": "photo",
        "media_type": "photo",
        "media": media(call, photo),
        "target": {"id": photo.id, "url": address},
        "url": address,
    })
}

fn media(call: &Call, photo: &Photo) -> Value {
    json!({"image": {"width": photo.picture.width, "height": photo.picture.height, "src": source(call, &photo.id)}})
}

fn application(application: &Named) -> Value {
    let link = format!("https://www.facebook.com/games/?app_id={}", application.id);
    json!({"id": application.id, "name": application.name, "link": link})
}

fn permalink(effect: &Effect) -> String {
    let number = effect.post_id.split('_').next_back().unwrap_or_default();
    format!("https://www.facebook.com/{}/posts/{number}", effect.origin.page_id)
}

fn photo_address(photo: &Photo) -> String {
    format!("https://www.facebook.com/photo.php?fbid={}", photo.id)
}

fn source(call: &Call, photo_id: &str) -> String {
    format!("{}/control/photos/{photo_id}/picture", call.base_url)
}
