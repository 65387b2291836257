//! A client of the sandbox's control API: people, planned faults, and the published posts.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{api::read, restaurant::Profile, views::List};

/// One world of the sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    client: Client,
    base: String,
}

/// A published post, even if its caller never got the response.
#[derive(Debug, Deserialize)]
pub(crate) struct Effect {
    pub(crate) page_id: String,
    pub(crate) post_id: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) picture: Option<Picture>,
    pub(crate) published: bool,
    pub(crate) deleted: bool,
}

/// A picture as it arrived there.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Picture {
    pub(crate) sha256: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Debug, Deserialize)]
struct Calls {
    counts: BTreeMap<String, u64>,
}

impl Sandbox {
    /// Creates a client of the world `world` of the sandbox at this address.
    pub(crate) fn new(url: &Url, world: &str) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        Ok(Self { client, base: format!("{}/{world}/control", url.as_str().trim_end_matches('/')) })
    }

    /// Gives the world the people of these restaurants, each with one Page.
    pub(crate) async fn replace_people(&self, profiles: &[Profile]) -> anyhow::Result<()> {
        let people: Vec<Value> = profiles
            .iter()
            .map(|profile| {
                let page = json!({"id": profile.page_id, "name": profile.name});
                json!({"id": profile.person_id, "name": profile.person, "pages": [page]})
            })
            .collect();
        self.post("people", &json!({"people": people})).await
    }

    /// Puts a person at the browser.
    pub(crate) async fn log_in(&self, person_id: &str) -> anyhow::Result<()> {
        self.post("login", &json!({"person_id": person_id})).await
    }

    /// Plans a fault.
    pub(crate) async fn plan_fault(&self, fault: &Value) -> anyhow::Result<()> {
        self.post("faults", fault).await
    }

    /// Returns the ledger: everything that was published, in order.
    pub(crate) async fn list_effects(&self) -> anyhow::Result<Vec<Effect>> {
        let list: List<Effect> = self.get("effects").await?;
        Ok(list.items)
    }

    /// Counts the publishing calls, successful or not.
    pub(crate) async fn count_publishing_calls(&self) -> anyhow::Result<u64> {
        let calls: Calls = self.get("calls").await?;
        Ok(["publish_photo", "publish_feed"].iter().filter_map(|name| calls.counts.get(*name)).sum())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        read(&format!("the sandbox's {name}"), self.client.get(format!("{}/{name}", self.base))).await
    }

    async fn post(&self, name: &str, body: &Value) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}/{name}", self.base)).json(body);
        let _: Value = read(&format!("the sandbox's {name}"), request).await.context("could not set the sandbox up")?;
        Ok(())
    }
}
