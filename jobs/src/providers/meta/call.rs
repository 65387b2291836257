//! Calls of the Graph API: reads, lists, writes.

use std::time::Instant;

use bytes::Bytes;
use reqwest::{Method, StatusCode, header::HeaderMap};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{Meta, MetaError, appsecret_proof, error::original_response, wait};
use crate::{engine::ProviderClock, ids::AccountId};

/// Lists are followed for this many pages at most.
const MAX_PAGES: usize = 50;

/// Parameters of an address that we give ourselves: no token leaves us in an address.
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

/// A list that was followed.
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// Whether that is all of it.
    pub(super) is_complete: bool,
    /// The provider's clock, as the first answer showed it.
    pub(super) clock: Option<ProviderClock>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    clock: Option<ProviderClock>,
}

impl Reply {
    fn into_error(self, account_id: Option<AccountId>) -> MetaError {
        MetaError::from_answer(self.status.as_u16(), &self.headers, &self.body, account_id)
    }
}

type Query = Vec<(String, String)>;

impl Meta {
    pub(super) fn url(&self, path: &str) -> String {
        let graph = self.config.meta_graph_url.as_str().trim_end_matches('/');
        format!("{graph}/{}/{path}", self.config.meta_graph_version)
    }

    /// Reads one thing.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretString,
        query: &[(&str, &str)],
        account_id: Option<AccountId>,
    ) -> Result<T, MetaError> {
        parse(&self.read(&self.url(path), token, &owned(query), account_id).await?.body)
    }

    /// Follows a list to its end. A page may be empty and still have a next one.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretString,
        query: &[(&str, &str)],
        account_id: Option<AccountId>,
    ) -> Result<List<T>, MetaError> {
        let mut list = List { items: Vec::new(), is_complete: false, clock: None };
        let (first_url, first_query) = (self.url(path), owned(query));
        let (mut url, mut query) = (first_url.clone(), first_query.clone());
        for _ in 0..MAX_PAGES {
            let reply = self.read(&url, token, &query, account_id).await?;
            let part: Part<T> = parse(&reply.body)?;
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

    /// Where a link to the next page leads: its parameters, but for those that are ours to give; its path, if it stays below our
    /// Graph address, else that of the first page.
    fn follow(&self, next: &str, first_url: &str) -> Result<(String, Query), MetaError> {
        let mut next = Url::parse(next).map_err(|_| MetaError::Endless)?;
        let query: Query = next.query_pairs().into_owned().filter(|(name, _)| !OURS.contains(&name.as_str())).collect();
        next.set_query(None);
        next.set_fragment(None);
        let base = &self.config.meta_graph_url;
        let below = format!("{}/", base.path().trim_end_matches('/'));
        let stays = next.origin() == base.origin() && next.path().starts_with(&below);
        Ok((if stays { next.into() } else { first_url.to_owned() }, query))
    }

    async fn read(
        &self,
        url: &str,
        token: &SecretString,
        query: &[(String, String)],
        account_id: Option<AccountId>,
    ) -> Result<Reply, MetaError> {
        let request = self
            .client
            .request(Method::GET, url)
            .query(query)
            .query(&[("appsecret_proof", self.proof(token))])
            .bearer_auth(token.expose_secret());
        let request = request.build().map_err(MetaError::from_reqwest)?;
        let reply = send(&self.client, request).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(reply.into_error(account_id)) }
    }

    pub(super) async fn execute(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
        account_id: Option<AccountId>,
    ) -> Result<Bytes, MetaError> {
        let reply = send(client, request).await?;
        if reply.status.is_success() { Ok(reply.body) } else { Err(reply.into_error(account_id)) }
    }

    /// The answer to a write. An error that carries the write's own answer is that answer.
    pub(super) async fn write(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
        account_id: AccountId,
    ) -> Result<Bytes, MetaError> {
        let reply = send(client, request).await?;
        if reply.status.is_success() {
            return Ok(reply.body);
        }
        match original_response(&reply.body) {
            Some(answer) => Ok(answer.into()),
            None => Err(reply.into_error(Some(account_id))),
        }
    }

    /// `hex(HMAC-SHA256(app secret, token))`. Source: "Secure Graph API calls".
    pub(super) fn proof(&self, token: &SecretString) -> String {
        appsecret_proof(&self.config.facebook_app_secret, token)
    }
}

async fn send(client: &reqwest::Client, request: reqwest::Request) -> Result<Reply, MetaError> {
    let asked = Instant::now();
    let answer = client.execute(request).await.map_err(MetaError::from_reqwest)?;
    let answered = Instant::now();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.map_err(MetaError::from_reqwest)?;
    let clock = wait::date(&headers).map(|date| ProviderClock { date, asked, answered });
    Ok(Reply { status, headers, body, clock })
}

fn owned(query: &[(&str, &str)]) -> Query {
    query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, MetaError> {
    serde_json::from_slice(body).map_err(|_| MetaError::unexpected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::meta::MetaConfig;

    #[test]
    fn a_link_is_followed_without_its_token_and_never_elsewhere() {
        let meta = Meta::new(MetaConfig {
            facebook_app_id: "1".to_owned(),
            facebook_app_secret: "s".into(),
            meta_graph_url: Url::parse("https://graph.example/meta").unwrap(),
            meta_dialog_url: Url::parse("https://www.example").unwrap(),
            meta_graph_version: "v25.0".to_owned(),
        });
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
