//! Posts as a Page's feed shows them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::providers::{Pictures, ShownPost};

/// A post as a Page's feed shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PagePost {
    /// `<page>_<post>`.
    pub(super) id: String,
    /// Its text.
    pub(super) message: Option<String>,
    /// The creation time, by Facebook's clock.
    #[serde(default, deserialize_with = "graph_time")]
    pub(super) created_time: Option<DateTime<Utc>>,
    /// The public address.
    pub(super) permalink_url: Option<String>,
    /// The author, if shown.
    pub(super) from: Option<Thing>,
    /// The app that made it, if shown.
    pub(super) application: Option<Thing>,
    /// The type of the post.
    status_type: Option<String>,
    attachments: Option<Attachments>,
}

/// An object with an id.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Thing {
    /// Its id, if shown.
    pub(super) id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Attachments {
    #[serde(default)]
    data: Vec<Attachment>,
}

#[derive(Debug, Clone, Deserialize)]
struct Attachment {
    media_type: Option<String>,
    target: Option<Thing>,
    subattachments: Option<Attachments>,
}

fn each(attachments: Option<&Attachments>) -> impl Iterator<Item = &Attachment> {
    attachments.into_iter().flat_map(|attachments| &attachments.data)
}

impl PagePost {
    /// Returns the post as we compare it, as seen on a Page and by one app.
    pub(super) fn shown(self, page_id: &str, app_id: &str) -> ShownPost {
        let is = |thing: &Option<Thing>, id: &str| thing.as_ref()?.id.as_ref().map(|shown| shown == id);
        ShownPost {
            is_by_account: is(&self.from, page_id),
            is_by_our_app: is(&self.application, app_id),
            pictures: self.pictures(),
            id: self.id,
            text: self.message,
            created_at: self.created_time,
            permalink: self.permalink_url,
        }
    }

    /// Returns the pictures that the post shows.
    fn pictures(&self) -> Pictures {
        // The media type of an album says nothing about its pictures; they are in the
        // subattachments.
        let all = each(self.attachments.as_ref()).flat_map(|top| {
            let parts: Vec<&Attachment> = each(top.subattachments.as_ref()).collect();
            if parts.is_empty() { vec![top] } else { parts }
        });
        let mut pictures = all.filter(|one| one.media_type.as_deref().is_none_or(is_picture)).peekable();
        if pictures.peek().is_none() {
            return match &self.status_type {
                Some(sort) if is_of_media(sort) => Pictures::Unnamed,
                None if self.attachments.is_none() => Pictures::NotShown,
                Some(_) | None => Pictures::None,
            };
        }
        let ids: Vec<String> = pictures.filter_map(|one| one.target.as_ref()?.id.clone()).collect();
        if ids.is_empty() { Pictures::Unnamed } else { Pictures::Named(ids) }
    }
}

/// Returns true for posts that have pictures, even if those are not shown. Source: Graph API,
/// "Post", `status_type`.
fn is_of_media(status_type: &str) -> bool {
    ["added_photos", "added_video"].contains(&status_type)
}

/// Returns true for pictures; links have attachments too.
fn is_picture(media_type: &str) -> bool {
    ["photo", "album", "video"].contains(&media_type)
}

/// Reads a time like `2026-11-26T12:00:00+0000`. Source: Graph API, "Dates and times".
fn graph_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%z").or_else(|_| DateTime::parse_from_rfc3339(&text));
    time.map(|time| Some(time.to_utc())).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pictures(attachments: &Value) -> Pictures {
        let mut post = json!({ "id": "1_2", "created_time": "2026-11-26T12:00:00+0000" });
        if !attachments.is_null() {
            post["attachments"] = json!({ "data": attachments });
        }
        serde_json::from_value::<PagePost>(post).unwrap().pictures()
    }

    #[test]
    fn pictures_are_known_by_what_attachments_are_of() {
        let photo = |id: &str| json!({ "media_type": "photo", "target": { "id": id } });
        assert_eq!(pictures(&Value::Null), Pictures::NotShown);
        assert_eq!(pictures(&json!([{ "media_type": "link", "target": { "id": "9" } }])), Pictures::None);
        assert_eq!(pictures(&json!([{ "media_type": "photo" }])), Pictures::Unnamed);
        assert_eq!(pictures(&json!([photo("5")])), Pictures::Named(vec!["5".into()]));
        let album = json!([{ "media_type": "album", "target": { "id": "2" }, "subattachments": { "data": [photo("5"), photo("6")] } }]);
        assert_eq!(pictures(&album), Pictures::Named(vec!["5".into(), "6".into()]));
    }

    #[test]
    fn times_are_read_as_graph_writes_them() {
        for time in ["2026-11-26T13:00:00+0100", "2026-11-26T12:00:00+0000", "2026-11-26T12:00:00Z"] {
            let post: PagePost = serde_json::from_value(json!({ "id": "1", "created_time": time })).unwrap();
            assert_eq!(post.created_time.unwrap().to_rfc3339(), "2026-11-26T12:00:00+00:00");
        }
        let post: PagePost = serde_json::from_value(json!({ "id": "1" })).unwrap();
        assert_eq!(post.created_time, None);
    }

    #[test]
    fn a_post_says_whose_it_is_as_far_as_the_feed_shows_it() {
        let shown = |change: Value| {
            let mut post = json!({ "id": "1", "message": "Two for one", "created_time": "2026-11-26T12:00:05+0000",
                "from": { "id": "100" }, "application": { "id": "7" } });
            post.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value::<PagePost>(post).unwrap().shown("100", "7")
        };
        let owner = |change: Value| (shown(change.clone()).is_by_account, shown(change).is_by_our_app);
        assert_eq!(owner(json!({})), (Some(true), Some(true)));
        assert_eq!(owner(json!({ "from": { "id": "101" } })), (Some(false), Some(true)));
        assert_eq!(owner(json!({ "application": { "id": "8" } })), (Some(true), Some(false)));
        assert_eq!(owner(json!({ "from": { "name": "Page" }, "application": null })), (None, None));
        assert_eq!(shown(json!({})).text.as_deref(), Some("Two for one"));
        assert_eq!(shown(json!({ "message": null })).text, None);
    }
}
