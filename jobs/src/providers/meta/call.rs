//! Calls of the Graph API: reads, lists, writes.

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{Graph, error::original_response};
use crate::{
    engine::ProviderClock,
    providers::{Failure, ProviderError, http::Answer},
};

/// The maximum number of pages of a list that are followed.
const MAX_PAGES: usize = 50;

/// The parameters of a link that we always set ourselves, because a token must never be in a URL.
const OURS: [&str; 2] = ["access_token", "appsecret_proof"];

#[derive(Deserialize)]
struct Part<T> {
    data: Vec<T>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Deserialize, Default)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

/// A list with all pages that were followed.
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// True if the list is complete.
    pub(super) is_complete: bool,
    /// The provider's clock, according to the first response.
    pub(super) clock: Option<ProviderClock>,
}

type Query = Vec<(String, String)>;

impl Graph {
    pub(super) fn url(&self, path: &str) -> String {
        let graph = self.base.as_str().trim_end_matches('/');
        format!("{graph}/{}/{path}", self.version)
    }

    /// Reads one object.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretString,
        query: &[(&str, &str)],
    ) -> Result<T, ProviderError> {
        self.api.parse(&self.read(&self.url(path), token, &owned(query)).await?.body)
    }

    /// Follows a list to its end (pagination). A page may be empty and still have a next one.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretString,
        query: &[(&str, &str)],
    ) -> Result<List<T>, ProviderError> {
        let mut list = List { items: Vec::new(), is_complete: false, clock: None };
        let (first_url, first_query) = (self.url(path), owned(query));
        let (mut url, mut query) = (first_url.clone(), first_query.clone());
        for _ in 0..MAX_PAGES {
            let reply = self.read(&url, token, &query).await?;
            let part: Part<T> = self.api.parse(&reply.body)?;
            list.items.extend(part.data);
            list.clock = list.clock.or(reply.clock);
            let Some(next) = part.paging.next else {
                list.is_complete = true;
                break;
            };
            if let Some(after) = part.paging.cursors.and_then(|cursors| cursors.after) {
                query.clone_from(&first_query);
                query.push(("after".to_owned(), after));
            } else {
                (url, query) = self.follow(&next, &first_url)?;
            }
        }
        Ok(list)
    }

    /// Returns the address and the parameters of the next page. Parameters that we set ourselves
    /// are dropped.
    ///
    /// The link's path is used only if it stays below our Graph address; otherwise the first page's
    /// is used.
    fn follow(&self, next: &str, first_url: &str) -> Result<(String, Query), ProviderError> {
        let mut next = Url::parse(next).map_err(|_| self.api.error(Failure::Endless))?;
        let query: Query = next.query_pairs().into_owned().filter(|(name, _)| !OURS.contains(&name.as_str())).collect();
        next.set_query(None);
        next.set_fragment(None);
        let base = &self.base;
        let below = format!("{}/", base.path().trim_end_matches('/'));
        let stays = next.origin() == base.origin() && next.path().starts_with(&below);
        Ok((if stays { next.into() } else { first_url.to_owned() }, query))
    }

    async fn read(&self, url: &str, token: &SecretString, query: &[(String, String)]) -> Result<Answer, ProviderError> {
        self.api.send(self.signed(Method::GET, url, token).query(query)).await
    }

    /// Returns a request with a token, and with its proof in the URL.
    pub(super) fn signed(&self, method: Method, url: &str, token: &SecretString) -> RequestBuilder {
        let request = self.api.client.request(method, url).query(&[("appsecret_proof", self.proof(token))]);
        request.bearer_auth(token.expose_secret())
    }

    /// Sends a write, and returns its response. An error that contains the write's original
    /// response counts as that response.
    pub(super) async fn write(&self, request: RequestBuilder) -> Result<Bytes, ProviderError> {
        let answer = self.api.exchange(request).await?;
        let original = if answer.is_success() { None } else { original_response(&answer.body) };
        match original {
            Some(original) => Ok(original.into()),
            None => Ok(self.api.check(answer)?.body),
        }
    }
}

fn owned(query: &[(&str, &str)]) -> Query {
    query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{AppCredentials, Provider};

    #[test]
    fn a_link_is_followed_without_its_token_and_never_elsewhere() {
        let credentials = AppCredentials { id: "1".to_owned(), secret: "s".into() };
        let base = Url::parse("https://graph.example/meta").unwrap();
        let meta = Graph::new(Provider::Facebook, credentials, base, "v25.0".to_owned());
        let first = "https://graph.example/meta/v25.0/1/feed";
        for (next, url) in [
            (
                "https://graph.example/meta/v25.0/1/posts?until=5&access_token=T",
                "https://graph.example/meta/v25.0/1/posts",
            ),
            ("https://graph.example/other/1/feed?until=5&appsecret_proof=p", first),
            ("https://evil.example/meta/v25.0/1/feed?access_token=T&until=5", first),
            ("http://graph.example/meta/v25.0/1/feed?until=5", first),
        ] {
            assert_eq!(
                meta.follow(next, first).unwrap(),
                (url.to_owned(), vec![("until".into(), "5".into())]),
                "{next}"
            );
        }
        assert!(meta.follow("nonsense", first).is_err());
    }
}
