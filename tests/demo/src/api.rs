//! A client of the admin's API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use reqwest::{Client, RequestBuilder, Response, multipart};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    views::{Account, Asset, Calendar, Connect, Job, List, Made, Post, Rendering, Scheduled},
    wait,
};

/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest time an undisturbed job may take.
const JOB_TIMEOUT: Duration = Duration::from_mins(1);

/// The API, with an operator's key.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    base: String,
    key: String,
}

/// A post to schedule.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) post_id: Uuid,
    /// The time to publish at. `None` takes the time that its calendar planned.
    pub(crate) at: Option<DateTime<Utc>>,
    pub(crate) asset_id: Uuid,
}

impl Api {
    /// Creates a client of the API at this address.
    pub(crate) fn new(url: &Url, key: String) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build()?;
        Ok(Self { client, base: format!("{}/api/v1", url.as_str().trim_end_matches('/')), key })
    }

    pub(crate) async fn create_tenant(&self, name: &str, email: &str) -> anyhow::Result<Uuid> {
        let made: Made = self.post("/tenants", &json!({"name": name, "email": email, "plan": "pro"})).await?;
        Ok(made.id)
    }

    pub(crate) async fn authorize_facebook(&self, tenant_id: Uuid) -> anyhow::Result<Url> {
        let connect: Connect = self.get(&format!("/oauth/facebook/authorize?tenant_id={tenant_id}")).await?;
        Ok(connect.url.parse()?)
    }

    pub(crate) async fn list_accounts(&self, tenant_id: Uuid) -> anyhow::Result<Vec<Account>> {
        let list: List<Account> = self.get(&format!("/tenants/{tenant_id}/accounts")).await?;
        Ok(list.items)
    }

    pub(crate) async fn create_folder(&self, tenant_id: Uuid, name: &str) -> anyhow::Result<Uuid> {
        let made: Made = self.post("/folders", &json!({"tenant_id": tenant_id, "name": name})).await?;
        Ok(made.id)
    }

    pub(crate) async fn upload(&self, folder_id: Uuid, name: &str, jpeg: Vec<u8>) -> anyhow::Result<Asset> {
        let file = multipart::Part::bytes(jpeg).file_name(name.to_owned()).mime_str("image/jpeg")?;
        let form = multipart::Form::new().part("file", file);
        let path = format!("/folders/{folder_id}/assets");
        read(&path, self.client.post(self.url(&path)).multipart(form).bearer_auth(&self.key)).await
    }

    pub(crate) async fn overlay(&self, asset_id: Uuid, text: &str, position: &str) -> anyhow::Result<Rendering> {
        self.post(&format!("/assets/{asset_id}/overlay"), &json!({"text": text, "position": position})).await
    }

    pub(crate) async fn content(&self, asset_id: Uuid) -> anyhow::Result<Vec<u8>> {
        let path = format!("/assets/{asset_id}/content");
        let response = send(&path, self.client.get(self.url(&path)).bearer_auth(&self.key)).await?;
        Ok(response.bytes().await?.into())
    }

    pub(crate) async fn create_calendar(&self, tenant_id: Uuid, month: &str, brief: &str) -> anyhow::Result<Calendar> {
        let path = format!("/tenants/{tenant_id}/calendars");
        self.post(&path, &json!({"month": month, "posts": 12, "brief": brief})).await
    }

    pub(crate) async fn get_calendar(&self, id: Uuid) -> anyhow::Result<Calendar> {
        self.get(&format!("/calendars/{id}")).await
    }

    /// Schedules posts on an account and returns the jobs that publish them, in the same order.
    pub(crate) async fn schedule(
        &self,
        tenant_id: Uuid,
        account_id: Uuid,
        placements: &[Placement],
    ) -> anyhow::Result<Vec<Uuid>> {
        let posts: Vec<Value> = placements
            .iter()
            .map(|placement| match placement.at {
                Some(at) => json!({"post_id": placement.post_id, "asset_id": placement.asset_id, "scheduled_at": at}),
                None => json!({"post_id": placement.post_id, "asset_id": placement.asset_id}),
            })
            .collect();
        let body = json!({"tenant_id": tenant_id, "account_id": account_id, "posts": posts});
        let scheduled: Scheduled = self.post("/posts/schedule", &body).await?;
        Ok(scheduled.job_ids)
    }

    pub(crate) async fn list_posts(&self, tenant_id: Uuid) -> anyhow::Result<Vec<Post>> {
        let list: List<Post> = self.get(&format!("/tenants/{tenant_id}/posts?limit=200")).await?;
        Ok(list.items)
    }

    pub(crate) async fn create_noops(&self, tenant_id: Uuid, copies: usize) -> anyhow::Result<()> {
        let body = json!({"tenant_id": tenant_id, "kind": "noop", "args": {}, "copies": copies});
        let _: Value = self.post("/jobs", &body).await?;
        Ok(())
    }

    pub(crate) async fn get_job(&self, id: Uuid) -> anyhow::Result<Job> {
        self.get(&format!("/jobs/{id}")).await
    }

    /// Lists jobs, newest first; `filter` is a query such as `tenant_id=...&kind=noop`.
    pub(crate) async fn list_jobs(&self, filter: &str) -> anyhow::Result<Vec<Job>> {
        let list: List<Job> = self.get(&format!("/jobs?limit=200&{filter}")).await?;
        Ok(list.items)
    }

    /// Waits until a job has completed. Fails if the job ended otherwise.
    pub(crate) async fn completed(&self, id: Uuid) -> anyhow::Result<Job> {
        let what = format!("the end of job {id}");
        let job = wait::until(&what, JOB_TIMEOUT, async || {
            let job = self.get_job(id).await?;
            Ok(job.has_ended().then_some(job))
        });
        let job = job.await?;
        match job.state.as_str() {
            "completed" => Ok(job),
            state => bail!("{} {id} ended as {state}: {}", job.kind, job.why()),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(path, self.client.get(self.url(path)).bearer_auth(&self.key)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        read(path, self.client.post(self.url(path)).json(body).bearer_auth(&self.key)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// Sends a request and parses the JSON of the response. `path` is for error messages.
pub(crate) async fn read<T: DeserializeOwned>(path: &str, request: RequestBuilder) -> anyhow::Result<T> {
    let response = send(path, request).await?;
    response.json().await.with_context(|| format!("{path} returned an unexpected response"))
}

async fn send(path: &str, request: RequestBuilder) -> anyhow::Result<Response> {
    let response = request.send().await.with_context(|| format!("{path} did not respond"))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.text().await.unwrap_or_default();
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    bail!("{path} returned {status}: {}", problem["detail"].as_str().unwrap_or(&body))
}
