//! Publishes to a Page, and reads back its posts.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::{Method, multipart};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Graph, PAGE_SIZE, post::PagePost};
use crate::{
    engine::{Deadline, Remote},
    providers::{Class, Failure, ProviderError, ReadError, RemoteAccount, Shown, http},
};

/// The fields that reading back compares. Source: Graph API, "Post" and "Story attachment".
const FEED_FIELDS: &str = "id,message,created_time,permalink_url,status_type,from,application,\
    attachments{media_type,target{id},subattachments{media_type,target{id}}}";

/// The time limit for reading the address of a post, which is not worth a longer wait.
const PERMALINK_TIMEOUT: Duration = Duration::from_secs(3);

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

/// One Page.
pub(super) struct Page<'a> {
    graph: Graph,
    id: &'a str,
    token: &'a SecretString,
}

impl<'a> Page<'a> {
    pub(super) fn new(graph: &Graph, account: RemoteAccount<'a>) -> Self {
        Self { graph: graph.on_account(account.id), id: account.remote_id, token: account.token }
    }

    /// Uploads a picture that stays invisible until a post attaches it.
    pub(super) async fn stage_picture(&self, picture: &Bytes, content_type: &str) -> Result<String, ProviderError> {
        let source = multipart::Part::stream_with_length(picture.clone(), picture.len() as u64)
            .file_name("picture")
            .mime_str(content_type)
            .expect("a media type of ours");
        let form = multipart::Form::new()
            .text("published", "false")
            .text("appsecret_proof", self.proof())
            .part("source", source);
        let url = self.graph.url(&format!("{}/photos", self.id));
        let request = self.graph.api.client.post(url).bearer_auth(self.token.expose_secret()).multipart(form);
        let body = self.graph.write(request).await?;
        Ok(self.graph.api.parse::<Published>(&body)?.id)
    }

    pub(super) async fn delete_picture(&self, id: &str) -> Result<(), ProviderError> {
        let request = self.graph.signed(Method::DELETE, &self.graph.url(id), self.token);
        self.graph.write(request).await.map(|_| ())
    }

    /// Publishes a text with staged pictures. It requests only the id, so that no read can fail
    /// after the write.
    pub(super) async fn publish(
        &self,
        deadline: Deadline,
        text: &str,
        pictures: &[String],
    ) -> Result<Remote, ProviderError> {
        let mut form = vec![("message".to_owned(), text.to_owned()), ("appsecret_proof".to_owned(), self.proof())];
        form.extend(
            pictures
                .iter()
                .enumerate()
                .map(|(at, id)| (format!("attached_media[{at}]"), serde_json::json!({ "media_fbid": id }).to_string())),
        );
        let body = encode_form(&form);
        let url = self.graph.url(&format!("{}/feed", self.id));
        let request = self.graph.effects.post(url).bearer_auth(self.token.expose_secret()).timeout(deadline.left());
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", body.len())
            .body(http::body_until(deadline, &body.into()));
        let answer = self.graph.write(request).await?;
        let Published { id, post_id } = self.graph.api.parse(&answer)?;
        let id = self.post_id(post_id.unwrap_or(id)).await?;
        Ok(Remote { id, permalink: None })
    }

    /// Returns the id of the post if the response has the id of a picture in it. If that fails now,
    /// the post is read back later.
    async fn post_id(&self, id: String) -> Result<String, ProviderError> {
        if id.contains('_') {
            return Ok(id);
        }
        self.story(&id).await.ok().flatten().ok_or_else(|| self.graph.api.error(Failure::unexpected()))
    }

    /// Returns the post that shows a picture, if one does.
    pub(super) async fn find_post_of(&self, picture: &str) -> Result<Option<String>, ReadError> {
        match self.story(picture).await {
            // Facebook deletes pictures that no post shows in time, so an error here means that no
            // post shows this one.
            Err(error) if [Class::Permission, Class::Permanent].contains(&error.class()) => Ok(None),
            story => Ok(story?),
        }
    }

    async fn story(&self, picture: &str) -> Result<Option<String>, ProviderError> {
        let story = self.graph.get::<Story>(picture, self.token, &[("fields", "page_story_id")]).await?;
        Ok(story.page_story_id)
    }

    /// Returns the newest posts of the Page, and if each one shows the app that made it.
    pub(super) async fn list_newest(&self) -> Result<Vec<(String, bool)>, ReadError> {
        let query = [("fields", "id,application"), ("limit", "25")];
        let path = format!("{}/feed", self.id);
        let newest: Newest = self.graph.get(&path, self.token, &query).await?;
        Ok(newest.data.into_iter().map(|post| (post.id, post.application.is_some())).collect())
    }

    /// Returns the public address of a post. If Facebook does not respond at once, the address is
    /// made of the post's id.
    pub(super) async fn permalink(&self, post_id: &str) -> String {
        let read = self.graph.get::<Permalink>(post_id, self.token, &[("fields", "permalink_url")]);
        let answer = tokio::time::timeout(PERMALINK_TIMEOUT, read).await;
        let told = answer.ok().and_then(Result::ok).and_then(|answer| answer.permalink_url);
        told.unwrap_or_else(|| format!("https://www.facebook.com/{post_id}"))
    }

    /// Returns all posts of the Page since that time, oldest first, with Facebook's clock.
    pub(super) async fn list_posts(&self, since: DateTime<Utc>) -> Result<Shown, ReadError> {
        let since = since.timestamp().to_string();
        let query = [("fields", FEED_FIELDS), ("since", since.as_str()), ("limit", PAGE_SIZE)];
        let path = format!("{}/feed", self.id);
        let list = self.graph.list::<PagePost>(&path, self.token, &query).await?;
        if !list.is_complete {
            return Err(self.graph.api.error(Failure::Endless).into());
        }
        let shown = |post: PagePost| post.shown(self.id, &self.graph.app.id);
        Ok(Shown { posts: list.items.into_iter().rev().map(shown).collect(), clock: list.clock })
    }

    fn proof(&self) -> String {
        self.graph.proof(self.token)
    }
}

fn encode_form(form: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
