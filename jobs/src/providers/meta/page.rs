//! Publishing to a Page, and reading back what it shows.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::multipart;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Meta, MetaError, PAGE_SIZE, parse};
use crate::{
    engine::{Deadline, Remote},
    ids::AccountId,
    providers::http,
};

/// A post as a Page's feed shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct PagePost {
    /// `<page>_<post>`.
    pub id: String,
    /// Its text.
    #[serde(default)]
    pub message: String,
    /// Where people see it.
    pub permalink_url: Option<String>,
}

#[derive(Deserialize)]
struct Published {
    id: String,
    post_id: Option<String>,
    permalink_url: Option<String>,
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
    /// Publishes a text. An effect: called at most once for a post.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn publish_text(&self, deadline: Deadline, text: &str) -> Result<Remote, MetaError> {
        let form = [("message", text), ("fields", "id,permalink_url"), ("appsecret_proof", &self.proof())];
        let body = encode_form(&form);
        let request = self
            .effect("feed", deadline)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", body.len())
            .body(http::body_until(deadline, &body.into()));
        self.publish(request).await
    }

    /// Publishes a photo, its bytes uploaded with the call. An effect: called at most once for a post.
    ///
    /// # Errors
    /// [`MetaError`].
    ///
    /// # Panics
    /// If `content_type` is not a media type.
    pub async fn publish_photo(
        &self,
        deadline: Deadline,
        caption: &str,
        picture: &Bytes,
        content_type: &str,
    ) -> Result<Remote, MetaError> {
        let size_bytes = picture.len() as u64;
        let source = multipart::Part::stream_with_length(http::body_until(deadline, picture), size_bytes)
            .file_name("picture")
            .mime_str(content_type)
            .expect("a media type of ours");
        let form = multipart::Form::new()
            .text("caption", caption.to_owned())
            .text("appsecret_proof", self.proof())
            .part("source", source);
        self.publish(self.effect("photos", deadline).multipart(form)).await
    }

    fn effect(&self, edge: &str, deadline: Deadline) -> reqwest::RequestBuilder {
        let url = self.meta.url(&format!("{}/{edge}", self.page_id));
        self.meta.effects.post(url).bearer_auth(self.token.expose_secret()).timeout(deadline.left())
    }

    async fn publish(&self, request: reqwest::RequestBuilder) -> Result<Remote, MetaError> {
        let request = request.build().map_err(MetaError::from_reqwest)?;
        let body = self.meta.execute(&self.meta.effects, request, Some(self.account_id)).await?;
        let published: Published = parse(&body)?;
        let id = published.post_id.unwrap_or(published.id);
        let permalink = published.permalink_url.unwrap_or_else(|| format!("https://www.facebook.com/{id}"));
        Ok(Remote { id, permalink: Some(permalink) })
    }

    /// What the Page published since, oldest first.
    ///
    /// # Errors
    /// [`MetaError`].
    pub async fn list_posts(&self, since: DateTime<Utc>) -> Result<Vec<PagePost>, MetaError> {
        let since = since.timestamp().to_string();
        let query =
            [("fields", "id,message,created_time,permalink_url"), ("since", since.as_str()), ("limit", PAGE_SIZE)];
        let path = format!("{}/feed", self.page_id);
        let mut posts = self.meta.list::<PagePost>(&path, self.token, &query, Some(self.account_id)).await?;
        posts.reverse();
        Ok(posts)
    }

    fn proof(&self) -> String {
        self.meta.proof(self.token)
    }
}

fn encode_form(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
