//! Publishing to a Page, and reading back what it shows.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::{Method, multipart};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Class, Meta, MetaError, PAGE_SIZE, ReadError, call::parse};
use crate::{
    engine::{Deadline, ProviderClock, Remote},
    ids::AccountId,
    providers::http,
};

/// What reading back compares. Source: Graph API, "Post" and "Story attachment".
const FEED_FIELDS: &str = "id,message,created_time,permalink_url,status_type,from,application,\
    attachments{media_type,target{id},subattachments{media_type,target{id}}}";

/// An address of a post is worth no longer wait than this.
const PERMALINK_TIMEOUT: Duration = Duration::from_secs(3);

/// A post as a Page's feed shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct PagePost {
    /// `<page>_<post>`.
    pub id: String,
    /// Its text.
    pub message: Option<String>,
    /// When it was made, by Facebook's clock.
    #[serde(default, deserialize_with = "graph_time")]
    pub created_time: Option<DateTime<Utc>>,
    /// Where people see it.
    pub permalink_url: Option<String>,
    /// Who made it, where that is shown.
    pub from: Option<Thing>,
    /// With which app, where that is shown.
    pub application: Option<Thing>,
    /// What sort of post it is.
    status_type: Option<String>,
    attachments: Option<Attachments>,
}

/// Something with an id.
#[derive(Debug, Clone, Deserialize)]
pub struct Thing {
    /// Its id, where that is shown.
    pub id: Option<String>,
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

/// The pictures of a post, as a feed shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pictures {
    /// It has none.
    None,
    /// It has some, and their ids are not shown.
    Unnamed,
    /// These, by their ids.
    Named(Vec<String>),
}

impl PagePost {
    /// The pictures that it shows.
    #[must_use]
    pub fn pictures(&self) -> Pictures {
        // What an album is of is the post itself; its pictures are below.
        let all = each(self.attachments.as_ref()).flat_map(|top| {
            let parts: Vec<&Attachment> = each(top.subattachments.as_ref()).collect();
            if parts.is_empty() { vec![top] } else { parts }
        });
        let mut pictures = all.filter(|one| one.media_type.as_deref().is_none_or(is_picture)).peekable();
        if pictures.peek().is_none() {
            return if self.has_added_media() { Pictures::Unnamed } else { Pictures::None };
        }
        let ids: Vec<String> = pictures.filter_map(|one| one.target.as_ref()?.id.clone()).collect();
        if ids.is_empty() { Pictures::Unnamed } else { Pictures::Named(ids) }
    }

    /// Its sort says that it has pictures, whether or not they are shown. Source: Graph API, "Post", `status_type`.
    fn has_added_media(&self) -> bool {
        self.status_type.as_deref().is_some_and(|sort| ["added_photos", "added_video"].contains(&sort))
    }
}

/// Links have attachments too.
fn is_picture(media_type: &str) -> bool {
    ["photo", "album", "video"].contains(&media_type)
}

/// `2026-11-26T12:00:00+0000`. Source: Graph API, "Dates and times".
fn graph_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%z").or_else(|_| DateTime::parse_from_rfc3339(&text));
    time.map(|time| Some(time.to_utc())).map_err(D::Error::custom)
}

#[derive(Deserialize)]
struct Published {
    id: String,
    post_id: Option<String>,
}

#[derive(Deserialize)]
struct Permalink {
    permalink_url: Option<String>,
}

#[derive(Deserialize)]
struct Story {
    page_story_id: Option<String>,
}

#[derive(Deserialize)]
struct Newest {
    data: Vec<PagePost>,
}

/// One Page. Its errors name the account, so that they park the right one.
#[derive(Debug, Clone, Copy)]
pub struct PageApi<'a> {
    pub(super) meta: &'a Meta,
    pub(super) account_id: AccountId,
    pub(super) page_id: &'a str,
    pub(super) token: &'a SecretString,
}

impl PageApi<'_> {
    /// Uploads a picture that nobody sees until a post attaches it; answers its id. May be repeated: what is not attached is
    /// deleted by Facebook in time.
    ///
    /// # Errors
    /// [`MetaError`].
    ///
    /// # Panics
    /// If `content_type` is not a media type.
    pub async fn stage_picture(&self, picture: &Bytes, content_type: &str) -> Result<String, MetaError> {
        let source = multipart::Part::stream_with_length(picture.clone(), picture.len() as u64)
            .file_name("picture")
            .mime_str(content_type)
            .expect("a media type of ours");
        let form = multipart::Form::new()
            .text("published", "false")
            .text("appsecret_proof", self.proof())
            .part("source", source);
        let url = self.meta.url(&format!("{}/photos", self.page_id));
        let request = self.meta.client.post(url).bearer_auth(self.token.expose_secret()).multipart(form);
        let request = request.build().map_err(MetaError::from_reqwest)?;
        let body = self.meta.write(&self.meta.client, request, self.account_id).await?;
        Ok(parse::<Published>(&body)?.id)
    }

    /// Deletes a picture that no post attached.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn delete_picture(&self, id: &str) -> Result<(), MetaError> {
        let request = self
            .meta
            .client
            .request(Method::DELETE, self.meta.url(id))
            .query(&[("appsecret_proof", self.proof())])
            .bearer_auth(self.token.expose_secret());
        let request = request.build().map_err(MetaError::from_reqwest)?;
        self.meta.write(&self.meta.client, request, self.account_id).await.map(|_| ())
    }

    /// Publishes a text with pictures that were staged. An effect: called at most once for a post. It asks for nothing but the
    /// id, so that no read can fail after the write.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn publish(&self, deadline: Deadline, text: &str, pictures: &[String]) -> Result<Remote, MetaError> {
        let mut form = vec![("message".to_owned(), text.to_owned()), ("appsecret_proof".to_owned(), self.proof())];
        form.extend(
            pictures
                .iter()
                .enumerate()
                .map(|(at, id)| (format!("attached_media[{at}]"), serde_json::json!({ "media_fbid": id }).to_string())),
        );
        let body = encode_form(&form);
        let url = self.meta.url(&format!("{}/feed", self.page_id));
        let request = self.meta.effects.post(url).bearer_auth(self.token.expose_secret()).timeout(deadline.left());
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", body.len())
            .body(http::body_until(deadline, &body.into()));
        let request = request.build().map_err(MetaError::from_reqwest)?;
        let answer = self.meta.write(&self.meta.effects, request, self.account_id).await?;
        let Published { id, post_id } = parse(&answer)?;
        let id = self.post_id(post_id.unwrap_or(id)).await?;
        Ok(Remote { id, permalink: None })
    }

    /// The id of the post, where that of a picture in it was answered. If it cannot be found out now, the post is read back.
    async fn post_id(&self, id: String) -> Result<String, MetaError> {
        if id.contains('_') {
            return Ok(id);
        }
        self.story(&id).await.ok().flatten().ok_or_else(MetaError::unexpected)
    }

    /// The post that shows a picture, if one does.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn find_post_of(&self, picture: &str) -> Result<Option<String>, ReadError> {
        match self.story(picture).await {
            // Nobody keeps a picture for ever that no post shows.
            Err(MetaError::Refused { class: Class::Permission | Class::Permanent, .. }) => Ok(None),
            story => Ok(story?),
        }
    }

    async fn story(&self, picture: &str) -> Result<Option<String>, MetaError> {
        let fields = [("fields", "page_story_id")];
        let story = self.meta.get::<Story>(picture, self.token, &fields, Some(self.account_id)).await?;
        Ok(story.page_story_id)
    }

    /// The newest posts of the Page: whether each shows the app that it was made with.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn list_newest(&self) -> Result<Vec<(String, bool)>, ReadError> {
        let query = [("fields", "id,application"), ("limit", "25")];
        let path = format!("{}/feed", self.page_id);
        let newest: Newest = self.meta.get(&path, self.token, &query, Some(self.account_id)).await?;
        Ok(newest.data.into_iter().map(|post| (post.id, post.application.is_some())).collect())
    }

    /// Where people see a post; its address without a name if Facebook does not say at once.
    pub async fn permalink(&self, post_id: &str) -> String {
        let fields = [("fields", "permalink_url")];
        let read = self.meta.get::<Permalink>(post_id, self.token, &fields, Some(self.account_id));
        let answer = tokio::time::timeout(PERMALINK_TIMEOUT, read).await;
        let told = answer.ok().and_then(Result::ok).and_then(|answer| answer.permalink_url);
        told.unwrap_or_else(|| format!("https://www.facebook.com/{post_id}"))
    }

    /// What the Page shows since then, oldest first, all of it, with Facebook's clock.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn list_posts(&self, since: DateTime<Utc>) -> Result<(Vec<PagePost>, Option<ProviderClock>), ReadError> {
        let since = since.timestamp().to_string();
        let query = [("fields", FEED_FIELDS), ("since", since.as_str()), ("limit", PAGE_SIZE)];
        let path = format!("{}/feed", self.page_id);
        let list = self.meta.list::<PagePost>(&path, self.token, &query, Some(self.account_id)).await?;
        if !list.is_complete {
            return Err(MetaError::Endless.into());
        }
        let mut posts = list.items;
        posts.reverse();
        Ok((posts, list.clock))
    }

    fn proof(&self) -> String {
        self.meta.proof(self.token)
    }
}

fn encode_form(form: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
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
        assert_eq!(pictures(&Value::Null), Pictures::None);
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
}
