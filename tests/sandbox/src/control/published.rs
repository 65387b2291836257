//! The count of equal posts on each Page, and their origins.

use std::collections::BTreeMap;

use poem::handler;
use poem::web::Json;
use serde_json::{Value, json};

use crate::control::InWorld;
use crate::ledger::{Effect, Ledger};

/// One content on one Page.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Content<'a> {
    page_id: &'a str,
    message: Option<&'a str>,
    link: Option<&'a str>,
    /// The SHA-256 of each picture, in order.
    pictures: Vec<&'a str>,
}

/// Groups the posts that calls published by Page and content. A `count` above 1 is a duplicate,
/// unless somebody wanted the post twice.
#[handler]
pub(super) fn list_published(InWorld(world): InWorld) -> Json<Value> {
    let world = world.lock();
    let mut posts: BTreeMap<Content<'_>, Vec<&Effect>> = BTreeMap::new();
    for effect in world.ledger.all().iter().filter(|effect| effect.published && !effect.is_planted()) {
        posts.entry(content(&world.ledger, effect)).or_default().push(effect);
    }
    let items = posts.iter().map(|(content, effects)| {
        json!({
            "page_id": content.page_id,
            "message": content.message,
            "link": content.link,
            "pictures": content.pictures,
            "count": effects.len(),
            "posts": effects.iter().map(|effect| post(effect)).collect::<Vec<_>>(),
        })
    });
    Json(json!({"items": items.collect::<Vec<_>>()}))
}

fn content<'a>(ledger: &'a Ledger, effect: &'a Effect) -> Content<'a> {
    let photos = effect.photo_ids.iter().filter_map(|id| ledger.photos.find(id));
    Content {
        page_id: &effect.origin.page_id,
        message: effect.message.as_deref(),
        link: effect.link.as_deref(),
        pictures: photos.map(|photo| photo.picture.sha256.as_str()).collect(),
    }
}

fn post(effect: &Effect) -> Value {
    json!({
        "seq": effect.seq,
        "post_id": effect.post_id,
        "photo_ids": effect.photo_ids,
        "app_id": effect.origin.application.as_ref().map(|application| &application.id),
        "user_id": effect.origin.user_id,
        "token_id": effect.origin.token_id,
        "created_time": effect.created_time,
        "deleted": effect.deleted,
    })
}
