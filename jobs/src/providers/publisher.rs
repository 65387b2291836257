//! The interface for publishing posts at a provider, and for finding them afterwards.

use std::{fmt, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::{Call, ReadError};
use crate::{
    engine::{Deadline, ProviderClock, Remote},
    ids::AccountId,
};

/// A pending read of an account's posts.
pub type Reading<'a, T> = BoxFuture<'a, Result<T, ReadError>>;

/// An account to publish to. Errors of its calls name it, so that they park the right account.
#[derive(Debug, Clone, Copy)]
pub struct RemoteAccount<'a> {
    /// Our id of the account.
    pub id: AccountId,
    /// The provider's id of the account.
    pub remote_id: &'a str,
    /// The token that opens it.
    pub token: &'a SecretString,
}

/// Publishes posts at a provider.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// The name of the publishing call in the ledger, such as `network.publish`. It never changes.
    fn operation(&self) -> &'static str;

    /// The time that the provider may take to show a published post.
    fn lag(&self) -> Duration;

    /// Uploads a picture that stays invisible until a post attaches it, and returns its id.
    ///
    /// May be repeated, because the provider deletes unattached pictures in time.
    fn stage<'a>(&'a self, account: RemoteAccount<'a>, picture: &'a Bytes, content_type: &'a str) -> Call<'a, String>;

    /// Deletes a picture that no post attached.
    fn delete_staged<'a>(&'a self, account: RemoteAccount<'a>, id: &'a str) -> Call<'a, ()>;

    /// Publishes a text with staged pictures. It is an effect: it runs at most once for a post.
    ///
    /// Nothing may be sent after `deadline`. Its errors say if the post may be published.
    fn publish<'a>(
        &'a self,
        account: RemoteAccount<'a>,
        deadline: Deadline,
        text: &'a str,
        staged: &'a [String],
    ) -> Call<'a, Remote>;

    /// Returns the public address of a post. It never fails: without a response, it builds an
    /// address from the id.
    fn permalink<'a>(&'a self, account: RemoteAccount<'a>, post_id: &'a str) -> BoxFuture<'a, String>;

    /// Returns all posts of the account since that time, oldest first.
    fn list_posts<'a>(&'a self, account: RemoteAccount<'a>, since: DateTime<Utc>) -> Reading<'a, Shown>;

    /// Returns the newest posts by their ids, and if each one shows the app that made it.
    fn list_newest<'a>(&'a self, account: RemoteAccount<'a>) -> Reading<'a, Vec<(String, bool)>>;

    /// Returns the id of the post that shows a staged picture, if one does.
    fn find_post_of<'a>(&'a self, account: RemoteAccount<'a>, staged: &'a str) -> Reading<'a, Option<String>>;
}

/// The posts of an account.
#[derive(Debug)]
pub struct Shown {
    /// Its posts.
    pub posts: Vec<ShownPost>,
    /// The provider's clock, if the response shows it.
    pub clock: Option<ProviderClock>,
}

/// A post as an account shows it.
#[derive(Debug, Clone)]
pub struct ShownPost {
    /// The provider's id of the post.
    pub id: String,
    /// Its text.
    pub text: Option<String>,
    /// The creation time, by the provider's clock.
    pub created_at: Option<DateTime<Utc>>,
    /// The public address.
    pub permalink: Option<String>,
    /// True if it was made in the account's name; `None` if that is not shown.
    pub is_by_account: Option<bool>,
    /// True if it was made with our app; `None` if that is not shown.
    pub is_by_our_app: Option<bool>,
    /// The pictures that it shows.
    pub pictures: Pictures,
}

/// The pictures of a post, as an account shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pictures {
    /// The post has none.
    None,
    /// The post has some, but their ids are not shown.
    Unnamed,
    /// The response does not show if the post has pictures.
    NotShown,
    /// The post has these, by the ids under which they were staged.
    Named(Vec<String>),
}
