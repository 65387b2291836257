//! The endpoints for other people's acts on a Page: posts that the app did not publish, and
//! deletions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use poem::web::Json;
use poem::{Result, handler};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::{InWorld, refused};
use crate::ledger::{Draft, Named, Origin};
use crate::operation::Operation;
use crate::picture::{Picture, inspect};
use crate::world::World;

/// A post as another person or app would publish it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlantedPost {
    page_id: String,
    message: Option<String>,
    link: Option<String>,
    picture: Option<PlantedPicture>,
    /// The author; the Page by default.
    from: Option<Named>,
    /// The app; none by default, as when a person writes by hand.
    application: Option<Named>,
    /// The time of the post, relative to now; negative is before.
    #[serde(default)]
    offset_seconds: i32,
}

/// The picture of a planted post.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlantedPicture {
    /// The bytes of the first picture of a post, by the post's `seq`.
    OfEffect(u64),
    /// The bytes of a received picture, by its id.
    OfPhoto(String),
    /// The bytes themselves.
    Base64(String),
}

/// The id of a post or picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    id: String,
}

/// A post, and if readers see it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hiding {
    post_id: String,
    #[serde(default = "yes")]
    hidden: bool,
}

/// Lists every post, planted ones included, oldest first.
#[handler]
pub(super) fn list_posts(InWorld(world): InWorld) -> Json<Value> {
    Json(json!({"items": world.lock().ledger.all()}))
}

/// Puts a post on a Page as another author would. The feed shows it at once.
#[handler]
pub(super) fn plant_post(InWorld(world): InWorld, Json(body): Json<PlantedPost>) -> Result<Json<Value>> {
    let mut world = world.lock();
    let page = world.people.iter().find_map(|person| person.page(&body.page_id));
    let page = page.ok_or_else(|| refused("page_id is no Page of the people"))?;
    let page = Named { id: page.id.clone(), name: page.name.clone() };
    let now = world.now();
    let created_time = world.clock.shown() + TimeDelta::seconds(body.offset_seconds.into());
    let picture = body.picture.map(|picture| find_picture(&world, picture)).transpose()?;
    let operation = if picture.is_some() { Operation::PublishPhoto } else { Operation::PublishFeed };
    let photos = &mut world.ledger.photos;
    let photo_id = picture.map(|picture| photos.receive(created_time, &page.id, picture, body.message.clone(), false));
    let origin = Origin {
        operation,
        page_id: page.id.clone(),
        from: body.from.unwrap_or(page),
        application: body.application,
        user_id: None,
        token_id: None,
    };
    let effect = world.ledger.publish(Draft {
        origin,
        message: body.message,
        link: body.link,
        photo_ids: photo_id.into_iter().collect(),
        unpublished: false,
        created_time,
        visible_from: now,
    });
    Ok(Json(json!(effect)))
}

/// Deletes a post or a picture, as a person on the Page can.
#[handler]
pub(super) fn delete_post(InWorld(world): InWorld, Json(body): Json<Which>) -> Result<Json<Value>> {
    if world.lock().ledger.delete(&body.id) { Ok(Json(json!({"deleted": body.id}))) } else { Err(no_such_post()) }
}

/// Hides a post from all readers, or shows it again.
#[handler]
pub(super) fn hide_post(InWorld(world): InWorld, Json(body): Json<Hiding>) -> Result<Json<Value>> {
    if !world.lock().ledger.hide(&body.post_id, body.hidden) {
        return Err(no_such_post());
    }
    Ok(Json(json!({"post_id": body.post_id, "hidden": body.hidden})))
}

fn find_picture(world: &World, picture: PlantedPicture) -> Result<(Picture, Bytes)> {
    let found = match picture {
        PlantedPicture::OfEffect(seq) => {
            let effect = world.ledger.all().iter().find(|effect| effect.seq == seq);
            effect.and_then(|effect| effect.photo_id.as_deref()).and_then(|id| world.ledger.photos.bytes(id))
        }
        PlantedPicture::OfPhoto(id) => world.ledger.photos.bytes(&id),
        PlantedPicture::Base64(text) => {
            let bytes = STANDARD.decode(text).map_err(refused)?;
            inspect(&bytes).map(|picture| (picture, bytes.into()))
        }
    };
    found.ok_or_else(|| refused("picture is none"))
}

fn no_such_post() -> poem::Error {
    refused("no such post")
}

fn yes() -> bool {
    true
}
