//! Everything a world has published, in order.

use std::collections::VecDeque;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rand::RngExt;
use serde::Serialize;

use crate::operation::Operation;
use crate::picture::Picture;

/// How many pictures a world keeps the bytes of.
const KEPT_PICTURES: usize = 500;

/// Something that was published, whether or not its caller got to know.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Effect {
    /// Counts from 1 in each world.
    pub(crate) seq: u64,
    pub(crate) operation: Operation,
    pub(crate) page_id: String,
    /// `null` for a picture that was uploaded unpublished.
    pub(crate) post_id: Option<String>,
    pub(crate) photo_id: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) picture: Option<Picture>,
    pub(crate) published: bool,
    pub(crate) created_time: DateTime<Utc>,
    pub(crate) deleted: bool,
}

impl Effect {
    /// Whether readers of the Page see it.
    pub(crate) fn is_visible(&self) -> bool {
        self.published && !self.deleted
    }

    /// Whether `id` is the post or its picture.
    pub(crate) fn is_named(&self, id: &str) -> bool {
        self.post_id.as_deref() == Some(id) || self.photo_id.as_deref() == Some(id)
    }
}

/// What is about to be published.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) message: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) picture: Option<(Picture, Bytes)>,
    pub(crate) unpublished: bool,
}

/// The effects of one world.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    effects: Vec<Effect>,
    pictures: VecDeque<(u64, Bytes)>,
}

impl Ledger {
    /// Publishes `draft` on a Page. Two equal drafts give two effects: no provider has an idempotency key here.
    pub(crate) fn publish(&mut self, now: DateTime<Utc>, operation: Operation, page_id: &str, draft: Draft) -> &Effect {
        let seq = self.effects.len() as u64 + 1;
        let photo_id = draft.picture.is_some().then(random_id);
        let picture = draft.picture.map(|(picture, bytes)| {
            self.keep(seq, bytes);
            picture
        });
        let has_post = photo_id.is_none() || !draft.unpublished;
        self.effects.push(Effect {
            seq,
            operation,
            page_id: page_id.to_owned(),
            post_id: has_post.then(|| format!("{page_id}_{}", random_id())),
            photo_id,
            message: draft.message,
            link: draft.link,
            picture,
            published: !draft.unpublished,
            created_time: now,
            deleted: false,
        });
        self.effects.last().expect("an effect was just pushed")
    }

    /// Every effect, oldest first.
    pub(crate) fn all(&self) -> &[Effect] {
        &self.effects
    }

    /// What readers of a Page see, newest first.
    pub(crate) fn visible(&self, page_id: &str) -> impl Iterator<Item = &Effect> {
        self.effects.iter().rev().filter(move |effect| effect.page_id == page_id && effect.is_visible())
    }

    /// The post or picture with this id, unless it was deleted.
    pub(crate) fn find(&self, id: &str) -> Option<&Effect> {
        self.effects.iter().find(|effect| !effect.deleted && effect.is_named(id))
    }

    /// Takes the post or picture with this id down, and says whether there was one.
    pub(crate) fn delete(&mut self, id: &str) -> bool {
        let found = self.effects.iter_mut().find(|effect| !effect.deleted && effect.is_named(id));
        found.map(|effect| effect.deleted = true).is_some()
    }

    /// A kept picture with what is known of it.
    pub(crate) fn picture(&self, seq: u64) -> Option<(Picture, Bytes)> {
        let (_, bytes) = self.pictures.iter().find(|(kept, _)| *kept == seq)?;
        let effect = self.effects.iter().find(|effect| effect.seq == seq)?;
        Some((effect.picture.clone()?, bytes.clone()))
    }

    fn keep(&mut self, seq: u64, bytes: Bytes) {
        if self.pictures.len() == KEPT_PICTURES {
            self.pictures.pop_front();
        }
        self.pictures.push_back((seq, bytes));
    }
}

/// An id of 17 digits: beyond what a 64-bit float can hold, so that a client that reads ids as numbers shows.
fn random_id() -> String {
    rand::rng().random_range(10_000_000_000_000_000_u64..100_000_000_000_000_000).to_string()
}
