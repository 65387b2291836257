//! How posts go out at a provider, and how one finds out afterwards what is out.

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

/// A read of what an account shows that is on its way.
pub type Reading<'a, T> = BoxFuture<'a, Result<T, ReadError>>;

/// An account to publish to. Errors of its calls name it, so that they park the right one.
#[derive(Debug, Clone, Copy)]
pub struct RemoteAccount<'a> {
    /// Its id here.
    pub id: AccountId,
    /// The provider's id of it.
    pub remote_id: &'a str,
    /// The token that opens it.
    pub token: &'a SecretString,
}

/// How posts go out at a provider.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// The name of the publishing call in the ledger, such as `network.publish`. It never changes.
    fn operation(&self) -> &'static str;

    /// How long the provider may take to show what it published.
    fn lag(&self) -> Duration;

    /// Brings a picture there that nobody sees until a post attaches it; answers its id. May be repeated: the provider deletes in
    /// time what no post attaches.
    fn stage<'a>(&'a self, account: RemoteAccount<'a>, picture: &'a Bytes, content_type: &'a str) -> Call<'a, String>;

    /// Deletes a picture that no post attached.
    fn delete_staged<'a>(&'a self, account: RemoteAccount<'a>, id: &'a str) -> Call<'a, ()>;

    /// Publishes a text with pictures that were staged. An effect: called at most once for a post. Nothing may leave after
    /// `deadline`, and its errors say whether the post may be out.
    fn publish<'a>(
        &'a self,
        account: RemoteAccount<'a>,
        deadline: Deadline,
        text: &'a str,
        staged: &'a [String],
    ) -> Call<'a, Remote>;

    /// Where people see a post. Never fails: without an answer it is an address that the id gives.
    fn permalink<'a>(&'a self, account: RemoteAccount<'a>, post_id: &'a str) -> BoxFuture<'a, String>;

    /// What the account shows since then, oldest first and all of it.
    fn list_posts<'a>(&'a self, account: RemoteAccount<'a>, since: DateTime<Utc>) -> Reading<'a, Shown>;

    /// The newest posts by their ids, and of each whether it shows with which app it was made.
    fn list_newest<'a>(&'a self, account: RemoteAccount<'a>) -> Reading<'a, Vec<(String, bool)>>;

    /// The id of the post that shows what was staged, if one does.
    fn find_post_of<'a>(&'a self, account: RemoteAccount<'a>, staged: &'a str) -> Reading<'a, Option<String>>;
}

/// What an account shows.
#[derive(Debug)]
pub struct Shown {
    /// Its posts.
    pub posts: Vec<ShownPost>,
    /// The provider's clock, if the answer shows it.
    pub clock: Option<ProviderClock>,
}

/// A post as an account shows it.
#[derive(Debug, Clone)]
pub struct ShownPost {
    /// The provider's id of it.
    pub id: String,
    /// Its text.
    pub text: Option<String>,
    /// When it was made, by the provider's clock.
    pub created_at: Option<DateTime<Utc>>,
    /// Where people see it.
    pub permalink: Option<String>,
    /// It was made in the account's name; `None` where that is not shown.
    pub is_by_account: Option<bool>,
    /// It was made with our app; `None` where that is not shown.
    pub is_by_our_app: Option<bool>,
    /// The pictures that it shows.
    pub pictures: Pictures,
}

/// The pictures of a post, as an account shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pictures {
    /// It has none.
    None,
    /// It has some, and their ids are not shown.
    Unnamed,
    /// Nothing is shown that would say whether it has any.
    NotShown,
    /// These, by the ids under which they were staged.
    Named(Vec<String>),
}
