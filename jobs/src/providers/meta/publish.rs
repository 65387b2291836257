//! Publishes posts on Pages.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::{Facebook, page::Page};
use crate::{
    engine::{Deadline, Remote},
    providers::{Call, Publisher, Reading, RemoteAccount, Shown},
};

/// The time that Facebook may take to show a published post in the feed.
const FEED_LAG: Duration = Duration::from_mins(1);

impl Facebook {
    fn page<'a>(&self, account: RemoteAccount<'a>) -> Page<'a> {
        Page::new(&self.graph, account)
    }
}

impl Publisher for Facebook {
    fn operation(&self) -> &'static str {
        "facebook.publish"
    }

    fn lag(&self) -> Duration {
        FEED_LAG
    }

    fn stage<'a>(&'a self, account: RemoteAccount<'a>, picture: &'a Bytes, content_type: &'a str) -> Call<'a, String> {
        Box::pin(async move { self.page(account).stage_picture(picture, content_type).await })
    }

    fn delete_staged<'a>(&'a self, account: RemoteAccount<'a>, id: &'a str) -> Call<'a, ()> {
        Box::pin(async move { self.page(account).delete_picture(id).await })
    }

    fn publish<'a>(
        &'a self,
        account: RemoteAccount<'a>,
        deadline: Deadline,
        text: &'a str,
        staged: &'a [String],
    ) -> Call<'a, Remote> {
        Box::pin(async move { self.page(account).publish(deadline, text, staged).await })
    }

    fn permalink<'a>(&'a self, account: RemoteAccount<'a>, post_id: &'a str) -> BoxFuture<'a, String> {
        Box::pin(async move { self.page(account).permalink(post_id).await })
    }

    fn list_posts<'a>(&'a self, account: RemoteAccount<'a>, since: DateTime<Utc>) -> Reading<'a, Shown> {
        Box::pin(async move { self.page(account).list_posts(since).await })
    }

    fn list_newest<'a>(&'a self, account: RemoteAccount<'a>) -> Reading<'a, Vec<(String, bool)>> {
        Box::pin(async move { self.page(account).list_newest().await })
    }

    fn find_post_of<'a>(&'a self, account: RemoteAccount<'a>, staged: &'a str) -> Reading<'a, Option<String>> {
        Box::pin(async move { self.page(account).find_post_of(staged).await })
    }
}
