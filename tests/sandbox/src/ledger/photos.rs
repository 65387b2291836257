//! The pictures that a world received: those of posts, and those that are staged.

use std::collections::VecDeque;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::random_id;
use crate::picture::Picture;

/// The number of pictures whose bytes a world keeps.
const KEPT_PICTURES: usize = 500;

/// A received picture.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Photo {
    pub(crate) id: String,
    pub(crate) page_id: String,
    pub(crate) caption: Option<String>,
    pub(crate) picture: Picture,
    pub(crate) uploaded_at: DateTime<Utc>,
    /// True if it was uploaded unpublished, for a later post.
    pub(crate) staged: bool,
    /// The post that shows it. A picture is used once.
    pub(crate) post_id: Option<String>,
    pub(crate) deleted: bool,
}

impl Photo {
    /// Returns true if it was staged and neither used nor deleted.
    pub(crate) fn is_orphan(&self) -> bool {
        self.staged && self.post_id.is_none() && !self.deleted
    }
}

/// The pictures of one world.
#[derive(Debug, Default)]
pub(crate) struct Photos {
    received: Vec<Photo>,
    kept: VecDeque<(String, Bytes)>,
}

impl Photos {
    /// Stores a picture, and returns its id.
    pub(crate) fn receive(
        &mut self,
        now: DateTime<Utc>,
        page_id: &str,
        (picture, bytes): (Picture, Bytes),
        caption: Option<String>,
        staged: bool,
    ) -> String {
        let id = random_id();
        if self.kept.len() == KEPT_PICTURES {
            self.kept.pop_front();
        }
        self.kept.push_back((id.clone(), bytes));
        let page_id = page_id.to_owned();
        let photo = Photo {
            id: id.clone(),
            page_id,
            caption,
            picture,
            uploaded_at: now,
            staged,
            post_id: None,
            deleted: false,
        };
        self.received.push(photo);
        id
    }

    /// Returns every picture, oldest first.
    pub(crate) fn all(&self) -> &[Photo] {
        &self.received
    }

    /// Returns the picture with this id, even if it was deleted.
    pub(crate) fn find(&self, id: &str) -> Option<&Photo> {
        self.received.iter().find(|photo| photo.id == id)
    }

    /// Returns a kept picture with its properties and bytes.
    pub(crate) fn bytes(&self, id: &str) -> Option<(Picture, Bytes)> {
        let (_, bytes) = self.kept.iter().find(|(kept, _)| kept == id)?;
        Some((self.find(id)?.picture.clone(), bytes.clone()))
    }

    pub(super) fn consume(&mut self, id: &str, post_id: &str) {
        if let Some(photo) = self.received.iter_mut().find(|photo| photo.id == id) {
            photo.post_id = Some(post_id.to_owned());
        }
    }

    pub(super) fn delete(&mut self, id: &str) {
        if let Some(photo) = self.received.iter_mut().find(|photo| photo.id == id) {
            photo.deleted = true;
        }
    }
}
