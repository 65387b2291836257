//! A provider for tests only: a notice board. It shows that a provider is one folder behind the
//! seam.
//!
//! People log in through the sandbox's Google, with PKCE. Everything else happens in this process.
//! Its one account has no token of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    engine::{Deadline, Remote},
    providers::{
        AppCredentials, Call, Connector, Failure, Found, FoundAccount, Integration, LeftOut, LeftOutReason, OauthApp,
        OauthClient, Pictures, Provider, ProvidersConfig, Publisher, Reading, RemoteAccount, Shown, ShownPost, Token,
        http::Api, oauth,
    },
};

/// The provider that it stands for: one that this version does not support.
pub(super) const PROVIDER: Provider = Provider::Instagram;

/// The board and its records.
#[derive(Debug)]
pub(super) struct Board {
    api: Api,
    /// The posts on the board.
    pub(super) posts: Mutex<Vec<ShownPost>>,
    /// The number of staged pictures.
    staged: Mutex<usize>,
    /// The tokens that were revoked.
    pub(super) revoked: Mutex<Vec<String>>,
    /// True if the response to the next post gets lost.
    pub(super) loses_answer: AtomicBool,
}

impl Board {
    pub(super) fn new() -> Arc<Self> {
        let api = Api::new(PROVIDER, oauth::failure_of);
        let (posts, revoked, staged) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { api, posts, staged, revoked, loses_answer: AtomicBool::new(false) })
    }

    /// Returns the board as a configured provider, in the world of a sandbox.
    pub(super) fn integration(self: &Arc<Self>, base: &str) -> Integration {
        let google = ProvidersConfig::of_sandbox(base).google;
        let app = OauthApp {
            credentials: AppCredentials {
                id: google.google_client_id.expect("an id"),
                secret: google.google_client_secret.expect("a secret"),
            },
            authorize_url: google.google_auth_url.to_string(),
            token_url: google.google_token_url.to_string(),
            redirect_uri: "http://127.0.0.1:1/back".to_owned(),
            scopes: "openid email".to_owned(),
            parameters: &[],
            takes_pkce: true,
        };
        let oauth = OauthClient::new(app, self.api.clone()).expect("usable addresses");
        Integration {
            oauth: Some(oauth),
            connector: Some(Arc::<Self>::clone(self)),
            publisher: Some(Arc::<Self>::clone(self)),
            ..Integration::new(PROVIDER)
        }
    }
}

impl Connector for Board {
    fn refresh<'a>(&'a self, token: &'a Token) -> Call<'a, Token> {
        Box::pin(async { Ok(Token { expires_in: Some(Duration::from_hours(1)), ..token.clone() }) })
    }

    fn check<'a>(&'a self, _token: &'a SecretString) -> Call<'a, String> {
        Box::pin(async { Ok("ada".to_owned()) })
    }

    fn scopes(&self) -> Vec<&str> {
        vec!["openid"]
    }

    fn discover<'a>(&'a self, _token: &'a SecretString) -> Call<'a, Found> {
        Box::pin(async {
            let account = FoundAccount {
                platform: PROVIDER,
                remote_id: "board".to_owned(),
                name: "The board".to_owned(),
                token: None,
            };
            Ok(Found {
                person_id: "ada".to_owned(),
                granted: vec!["openid".to_owned()],
                missing: Vec::new(),
                accounts: vec![account],
                left_out: vec![LeftOut { name: "A board of others".to_owned(), reason: LeftOutReason::NotShared }],
            })
        })
    }

    fn revoke<'a>(&'a self, token: &'a SecretString) -> Call<'a, ()> {
        Box::pin(async {
            self.revoked.lock().unwrap().push(token.expose_secret().to_owned());
            Ok(())
        })
    }
}

impl Publisher for Board {
    fn operation(&self) -> &'static str {
        "board.publish"
    }

    fn lag(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn stage<'a>(&'a self, _account: RemoteAccount<'a>, _picture: &'a Bytes, _type: &'a str) -> Call<'a, String> {
        Box::pin(async {
            let mut staged = self.staged.lock().unwrap();
            *staged += 1;
            Ok(format!("picture-{staged}"))
        })
    }

    fn delete_staged<'a>(&'a self, _account: RemoteAccount<'a>, _id: &'a str) -> Call<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn publish<'a>(
        &'a self,
        account: RemoteAccount<'a>,
        _deadline: Deadline,
        text: &'a str,
        staged: &'a [String],
    ) -> Call<'a, Remote> {
        Box::pin(async move {
            let mut posts = self.posts.lock().unwrap();
            let id = format!("{}-{}", account.remote_id, posts.len() + 1);
            posts.push(ShownPost {
                id: id.clone(),
                text: Some(text.to_owned()),
                created_at: None,
                permalink: None,
                is_by_account: Some(true),
                is_by_our_app: Some(true),
                pictures: if staged.is_empty() { Pictures::None } else { Pictures::Named(staged.to_vec()) },
            });
            if self.loses_answer.swap(false, Ordering::Relaxed) {
                let api = self.api.on_account(account.id);
                return Err(api.error(Failure::UnexpectedResponse { status: 502, wait: None }));
            }
            Ok(Remote { id, permalink: None })
        })
    }

    fn permalink<'a>(&'a self, _account: RemoteAccount<'a>, post_id: &'a str) -> BoxFuture<'a, String> {
        Box::pin(async move { format!("https://board.example.com/{post_id}") })
    }

    fn list_posts<'a>(&'a self, _account: RemoteAccount<'a>, _since: DateTime<Utc>) -> Reading<'a, Shown> {
        Box::pin(async { Ok(Shown { posts: self.posts.lock().unwrap().clone(), clock: None }) })
    }

    fn list_newest<'a>(&'a self, _account: RemoteAccount<'a>) -> Reading<'a, Vec<(String, bool)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn find_post_of<'a>(&'a self, _account: RemoteAccount<'a>, _staged: &'a str) -> Reading<'a, Option<String>> {
        Box::pin(async { Ok(None) })
    }
}
