//! Everything a world has published, in order.

mod photos;

use chrono::{DateTime, Utc};
use rand::RngExt;
use serde::{Deserialize, Serialize};

pub(crate) use photos::{Photo, Photos};

use crate::operation::Operation;
use crate::picture::Picture;

/// The bound of seconds since 1970 in the key of a post. It leaves room for the post's number.
const LATEST_SECOND: i64 = 1 << 38;
const NUMBER_BITS: u32 = 24;

/// The id and the name of a Page, a person or an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// A decimal string.
    pub(crate) id: String,
    pub(crate) name: String,
}

/// The origin of a post.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Origin {
    pub(crate) operation: Operation,
    pub(crate) page_id: String,
    pub(crate) from: Named,
    /// The app; `null` for a person who wrote the post by hand.
    pub(crate) application: Option<Named>,
    /// The person behind the token; `null` for a planted post.
    pub(crate) user_id: Option<String>,
    /// The token by its number in the control API; `null` for a planted post.
    pub(crate) token_id: Option<u64>,
}

/// A published post, even if its caller never got the response.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Effect {
    /// The number of the post, from 1 in each world.
    pub(crate) seq: u64,
    #[serde(flatten)]
    pub(crate) origin: Origin,
    pub(crate) post_id: String,
    /// The first picture.
    pub(crate) photo_id: Option<String>,
    /// All pictures.
    pub(crate) photo_ids: Vec<String>,
    /// The text as it was sent. Readers may see a different one.
    pub(crate) message: Option<String>,
    pub(crate) link: Option<String>,
    /// The first picture.
    pub(crate) picture: Option<Picture>,
    pub(crate) published: bool,
    pub(crate) created_time: DateTime<Utc>,
    /// The time from which the feed shows the post.
    pub(crate) visible_from: DateTime<Utc>,
    pub(crate) hidden: bool,
    pub(crate) deleted: bool,
}

impl Effect {
    /// Returns true if a test planted the post.
    pub(crate) fn is_planted(&self) -> bool {
        self.origin.token_id.is_none()
    }

    /// Returns true if the post can be read by its id.
    pub(crate) fn is_readable(&self) -> bool {
        !self.hidden && !self.deleted
    }

    /// Returns a number that is lower for newer posts, never 0 and different for each.
    pub(crate) fn feed_key(&self) -> u64 {
        let second = self.created_time.timestamp().clamp(0, LATEST_SECOND).unsigned_abs();
        u64::MAX - ((second << NUMBER_BITS) | (self.seq & ((1 << NUMBER_BITS) - 1)))
    }
}

/// A post before it is published.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) origin: Origin,
    pub(crate) message: Option<String>,
    pub(crate) link: Option<String>,
    /// The ids of pictures that were received before.
    pub(crate) photo_ids: Vec<String>,
    pub(crate) unpublished: bool,
    pub(crate) created_time: DateTime<Utc>,
    pub(crate) visible_from: DateTime<Utc>,
}

/// The posts and pictures of one world.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    effects: Vec<Effect>,
    pub(crate) photos: Photos,
}

impl Ledger {
    /// Publishes `draft`. Two equal drafts give two posts: no provider supports an idempotency key
    /// here.
    pub(crate) fn publish(&mut self, draft: Draft) -> Effect {
        let post_id = format!("{}_{}", draft.origin.page_id, random_id());
        for photo_id in &draft.photo_ids {
            self.photos.consume(photo_id, &post_id);
        }
        let photo_id = draft.photo_ids.first().cloned();
        let picture = photo_id.as_deref().and_then(|id| self.photos.find(id)).map(|photo| photo.picture.clone());
        let effect = Effect {
            seq: self.effects.len() as u64 + 1,
            origin: draft.origin,
            post_id,
            photo_id,
            photo_ids: draft.photo_ids,
            message: draft.message,
            link: draft.link,
            picture,
            published: !draft.unpublished,
            created_time: draft.created_time,
            visible_from: draft.visible_from,
            hidden: false,
            deleted: false,
        };
        self.effects.push(effect.clone());
        effect
    }

    /// Returns every post, oldest first, planted ones included.
    pub(crate) fn all(&self) -> &[Effect] {
        &self.effects
    }

    /// Returns the posts that the feed of a Page shows at `now`, newest first.
    pub(crate) fn visible(&self, page_id: &str, now: DateTime<Utc>) -> Vec<&Effect> {
        let shown = |effect: &&Effect| {
            let of_page = effect.origin.page_id == page_id;
            of_page && effect.published && effect.is_readable() && effect.visible_from <= now
        };
        let mut effects: Vec<&Effect> = self.effects.iter().filter(shown).collect();
        effects.sort_by_key(|effect| effect.feed_key());
        effects
    }

    /// Returns the post with this id, unless it was hidden or deleted.
    pub(crate) fn post(&self, id: &str) -> Option<&Effect> {
        self.effects.iter().find(|effect| effect.post_id == id && effect.is_readable())
    }

    /// Returns the picture with this id, unless it or its post was hidden or deleted.
    pub(crate) fn photo(&self, id: &str) -> Option<&Photo> {
        let photo = self.photos.find(id).filter(|photo| !photo.deleted)?;
        let gone = photo.post_id.as_deref().is_some_and(|post_id| self.post(post_id).is_none());
        (!gone).then_some(photo)
    }

    /// Returns the Page of the post or picture with this id.
    pub(crate) fn page_of(&self, id: &str) -> Option<&str> {
        let of_post = self.post(id).map(|effect| effect.origin.page_id.as_str());
        of_post.or_else(|| self.photo(id).map(|photo| photo.page_id.as_str()))
    }

    /// Deletes the post or picture with this id, and returns true if it existed. A post is deleted
    /// with its only picture.
    pub(crate) fn delete(&mut self, id: &str) -> bool {
        let is_photo = self.photo(id).is_some();
        if is_photo {
            self.photos.delete(id);
        }
        let only = |effect: &Effect| is_photo && effect.photo_ids == [id];
        let found =
            self.effects.iter_mut().find(|effect| effect.is_readable() && (effect.post_id == id || only(effect)));
        found.map(|effect| effect.deleted = true).is_some() || is_photo
    }

    /// Hides a post or shows it again, and returns true if it existed.
    pub(crate) fn hide(&mut self, post_id: &str, hidden: bool) -> bool {
        let found = self.effects.iter_mut().find(|effect| !effect.deleted && effect.post_id == post_id);
        found.map(|effect| effect.hidden = hidden).is_some()
    }
}

/// Returns an id of 17 digits. A 64-bit float cannot hold it, which exposes a client that reads ids
/// as numbers.
fn random_id() -> String {
    rand::rng().random_range(10_000_000_000_000_000_u64..100_000_000_000_000_000).to_string()
}
