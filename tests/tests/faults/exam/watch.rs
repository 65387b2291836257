//! A watch that compares the shown states with the published posts during the exam.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use jobs::ids::TenantId;
use serde_json::Value;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The visible content of a post. Posts on one Page with the same text and picture look equal,
/// whichever tenants they belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub(super) page_id: String,
    /// The word in its text that identifies it to the test: `[k07]`.
    pub(super) marker: String,
    /// The unique width of its picture.
    pub(super) width: Option<u64>,
}

/// A delivery as the API shows it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) content: Content,
    pub(super) state: String,
    pub(super) is_blocked: bool,
    pub(super) remote_id: Option<String>,
    pub(super) error: String,
}

/// The ids of the published posts.
pub(super) type Out = BTreeMap<Content, BTreeSet<String>>;

/// The sources of a comparison.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) api_url: String,
    pub(super) key: String,
    pub(super) control_url: String,
    pub(super) client: reqwest::Client,
    /// The tenants, each with its Page.
    pub(super) tenants: Vec<(TenantId, String)>,
    /// The width of each picture.
    pub(super) widths: BTreeMap<Uuid, u64>,
}

impl Viewer {
    /// Returns a response of the sandbox's control API.
    pub(super) async fn control(&self, path: &str) -> Value {
        self.client.get(format!("{}/{path}", self.control_url)).send().await.unwrap().json().await.unwrap()
    }

    /// Returns the published posts.
    pub(super) async fn out(&self) -> Out {
        let mut out = Out::new();
        for effect in self.control("effects").await["items"].as_array().unwrap() {
            let content = Content {
                page_id: text(&effect["page_id"]),
                marker: marker(&text(&effect["message"])),
                width: effect["picture"]["width"].as_u64(),
            };
            out.entry(content).or_default().insert(text(&effect["post_id"]));
        }
        out
    }

    /// Returns every delivery of every tenant.
    pub(super) async fn shown(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        for (tenant_id, page_id) in &self.tenants {
            let mut after = String::new();
            loop {
                let path = format!("{}/api/v1/tenants/{tenant_id}/posts?limit=200{after}", self.api_url);
                let answer = self.client.get(path).bearer_auth(&self.key).send().await.unwrap();
                let page: Value = answer.error_for_status().unwrap().json().await.unwrap();
                shown.extend(page["items"].as_array().unwrap().iter().flat_map(|post| self.deliveries(page_id, post)));
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={next}");
            }
        }
        shown
    }

    fn deliveries(&self, page_id: &str, post: &Value) -> Vec<Shown> {
        let width = |delivery: &Value| Some(self.widths[&delivery["asset_id"].as_str()?.parse::<Uuid>().ok()?]);
        let all = post["deliveries"].as_array().unwrap().iter();
        all.map(|delivery| Shown {
            id: text(&delivery["id"]),
            content: Content {
                page_id: page_id.to_owned(),
                marker: marker(&text(&post["caption"])),
                width: width(delivery),
            },
            state: text(&delivery["state"]),
            is_blocked: !delivery["blocked_by"].is_null(),
            remote_id: delivery["remote_id"].as_str().map(str::to_owned),
            error: text(&delivery["error"]),
        })
        .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn marker(text: &str) -> String {
    let from = text.find('[').unwrap_or_default();
    text[from..].split_inclusive(']').next().unwrap_or_default().to_owned()
}

/// A task that compares repeatedly until it is stopped.
#[derive(Debug)]
pub(super) struct Watch {
    task: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

/// The results of the watch.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) samples: usize,
    /// States that were false when they were shown.
    pub(super) untruths: BTreeSet<String>,
}

impl Watch {
    pub(super) fn start(viewer: Viewer) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let keeps = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                // The published posts are read before and after the states: those in the first read
                // were published while the states were read, and those missing in the second were
                // not.
                let (before, shown, after) = (viewer.out().await, viewer.shown().await, viewer.out().await);
                let found = untruths(&before, &shown, &after);
                {
                    let mut seen = keeps.lock().unwrap();
                    seen.samples += 1;
                    seen.untruths.extend(found);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { task, seen }
    }

    /// Stops the task.
    ///
    /// # Panics
    /// If the task has ended early.
    pub(super) async fn stop(self) -> Seen {
        assert!(!self.task.is_finished(), "the task still runs");
        self.task.abort();
        let _ = self.task.await;
        self.seen.lock().unwrap().clone()
    }
}

/// Returns the false states. Among deliveries that look equal, no more may be shown as published
/// than are published, and no more as unpublished than are unpublished.
fn untruths(before: &Out, shown: &[Shown], after: &Out) -> Vec<String> {
    let mut groups: BTreeMap<&Content, Vec<&Shown>> = BTreeMap::new();
    for delivery in shown {
        groups.entry(&delivery.content).or_default().push(delivery);
    }
    let count = |out: &Out, content: &Content| out.get(content).map_or(0, BTreeSet::len);
    let mut found = Vec::new();
    for (content, deliveries) in groups {
        let published = deliveries.iter().filter(|delivery| delivery.state == "published").count();
        let is_denied = |delivery: &&&Shown| {
            matches!(delivery.state.as_str(), "failed" | "cancelled" | "scheduled") || delivery.is_blocked
        };
        let denied = deliveries.iter().filter(is_denied).count();
        if published > count(after, content) {
            found.push(format!("{content:?}: published, and not out: {deliveries:?}"));
        }
        if denied + count(before, content) > deliveries.len() {
            found.push(format!("{content:?}: out, and shown as not out: {deliveries:?}"));
        }
    }
    found
}
