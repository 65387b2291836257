//! Posts: scheduled by jobs, listed, changed and deleted.

use chrono::{DateTime, TimeDelta, Utc};
use poem::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::jobs::{self, Payload};
use super::settings::{Account, Workspace};
use super::{Caller, Refusal, Reply, new_id};
use crate::world::World;

/// The states in which posts can be made.
const STATES: [&str; 5] = ["scheduled", "draft", "draft_private", "draft_public", "recurring"];

const PAGE_SIZE: usize = 10;

const GAP: &str = "There's another post at this time. A one minute gap is required between posts";

/// A post on one account.
#[derive(Debug, Clone)]
pub(super) struct Post {
    id: String,
    workspace_id: String,
    account_id: String,
    network: String,
    kind: String,
    text: String,
    state: String,
    scheduled_at: Option<DateTime<Utc>>,
    has_media: bool,
    visible_from: DateTime<Utc>,
}

impl Post {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "text": self.text, "url": null, "state": self.state, "type": self.kind,
            "account_id": self.account_id, "network": self.network, "user": null, "scheduled_at": self.scheduled_at,
            "post_link": null, "has_media": self.has_media,
        })
    }
}

#[derive(Deserialize)]
struct Bulk {
    bulk: NewPosts,
}

#[derive(Deserialize)]
struct NewPosts {
    state: String,
    posts: Vec<NewPost>,
}

#[derive(Deserialize)]
struct NewPost {
    networks: Map<String, Value>,
    accounts: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    id: String,
    scheduled_at: Option<DateTime<Utc>>,
}

/// Schedules posts, or publishes them at once. What fails on an account is told by the job.
pub(super) fn schedule(world: &mut World, caller: &Caller<'_>) -> Reply {
    let body = serde_json::from_slice::<Bulk>(&caller.incoming.body);
    let Bulk { bulk } = body.map_err(|error| Refusal::invalid(format!("bulk is invalid: {error}")))?;
    if !STATES.contains(&bulk.state.as_str()) {
        return Err(Refusal::invalid("state is not included in the list"));
    }
    let is_now = caller.incoming.segments().last() == Some(&"publish");
    let workspace = caller.workspace()?.clone();
    let mut failures = Vec::new();
    for post in &bulk.posts {
        for target in &post.accounts {
            let account = workspace.accounts.iter().find(|account| account.id == target.id);
            let made = match account {
                Some(account) => place(world, caller, &workspace, (&bulk.state, is_now), account, (post, target)),
                None => Err("Account not found".to_owned()),
            };
            if let Err(message) = made {
                failures.push(json!({
                    "account_id": target.id, "account_name": account.map(|account| &account.name),
                    "provider": account.map(|account| &account.provider), "message": message,
                }));
            }
        }
    }
    jobs::begin(world, caller, false, Payload::Failures(failures))
}

/// Adds a post on one account, or returns why it fails there.
fn place(
    world: &mut World,
    caller: &Caller<'_>,
    workspace: &Workspace,
    (state, is_now): (&str, bool),
    account: &Account,
    (post, target): (&NewPost, &Target),
) -> Result<(), String> {
    let network = post.networks.get(&account.provider).ok_or("The post has no content for this network")?;
    let text = |name: &str| network[name].as_str().unwrap_or_default().to_owned();
    let media = network["media"].as_array().cloned().unwrap_or_default();
    let is_known = |medium: &Value| {
        world.publer.media.iter().any(|known| known.workspace_id == workspace.id && medium["id"] == *known.id)
    };
    if !media.iter().all(is_known) {
        return Err("Media not found".to_owned());
    }
    let is_scheduled = state == "scheduled" && !is_now;
    if is_scheduled && target.scheduled_at.is_none_or(|time| time < caller.now + TimeDelta::minutes(1)) {
        return Err("The time must be at least one minute ahead".to_owned());
    }
    let is_near = |other: &Post| {
        let apart = other.scheduled_at.zip(target.scheduled_at).map(|(one, other)| (one - other).abs());
        other.account_id == account.id && apart.is_some_and(|apart| apart < TimeDelta::minutes(1))
    };
    if is_scheduled && world.publer.posts.iter().any(is_near) {
        return Err(GAP.to_owned());
    }
    let visible_from = jobs::end(world, caller.now);
    world.publer.posts.push(Post {
        id: new_id(),
        workspace_id: workspace.id.clone(),
        account_id: account.id.clone(),
        network: account.provider.clone(),
        kind: text("type"),
        text: text("text"),
        state: if is_now { "published".to_owned() } else { state.to_owned() },
        scheduled_at: target.scheduled_at,
        has_media: !media.is_empty(),
        visible_from,
    });
    Ok(())
}

fn values<'a>(caller: &'a Caller<'_>, name: &str) -> Vec<&'a str> {
    caller.params.query().iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
}

/// Lists the posts of a workspace, by page.
pub(super) fn list(world: &mut World, caller: &Caller<'_>) -> Reply {
    let time = |name: &str| caller.params.get(name).and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let (from, to) = (time("from"), time("to"));
    if from.is_some() != to.is_some() {
        return Err(Refusal::invalid("from and to go together"));
    }
    let (states, accounts) = (values(caller, "state[]"), values(caller, "account_ids[]"));
    let workspace_id = &caller.workspace()?.id;
    let is_wanted = |post: &&Post| {
        let is_in_time = |time: DateTime<Utc>| from.is_none_or(|from| from <= time) && to.is_none_or(|to| time <= to);
        post.workspace_id == *workspace_id
            && post.visible_from <= caller.now
            && (states.is_empty() || states.contains(&post.state.as_str()))
            && (accounts.is_empty() || accounts.contains(&post.account_id.as_str()))
            && caller.params.get("query").is_none_or(|query| post.text.contains(query))
            && (from.is_none() || post.scheduled_at.is_some_and(is_in_time))
    };
    let found: Vec<Value> = world.publer.posts.iter().filter(is_wanted).map(Post::shown).collect();
    let page: usize = caller.params.get("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let shown: Vec<&Value> = found.iter().skip(page * PAGE_SIZE).take(PAGE_SIZE).collect();
    let pages = found.len().div_ceil(PAGE_SIZE);
    Ok((
        StatusCode::OK,
        json!({
            "posts": shown, "total": found.len(), "page": page, "per_page": PAGE_SIZE, "total_pages": pages,
        }),
    ))
}

/// Changes the text of a post. Its time cannot be changed.
pub(super) fn change(world: &mut World, caller: &Caller<'_>) -> Reply {
    let body: Value = serde_json::from_slice(&caller.incoming.body).unwrap_or_default();
    let text = body["post"]["text"].as_str().ok_or_else(|| Refusal::invalid("post is required"))?;
    let id = caller.incoming.segments().last().copied().unwrap_or_default();
    let workspace_id = &caller.workspace()?.id;
    let found = world.publer.posts.iter_mut().find(|post| post.id == id && post.workspace_id == *workspace_id);
    let post = found.ok_or_else(|| Refusal::missing("Post"))?;
    text.clone_into(&mut post.text);
    Ok((StatusCode::OK, post.shown()))
}

/// Deletes posts by their ids in the query.
pub(super) fn delete(world: &mut World, caller: &Caller<'_>) -> Reply {
    let ids: Vec<String> = values(caller, "post_ids[]").into_iter().map(str::to_owned).collect();
    let workspace_id = &caller.workspace()?.id;
    let is_own =
        |id: &&String| world.publer.posts.iter().any(|post| post.id == **id && post.workspace_id == *workspace_id);
    let deleted: Vec<&String> = ids.iter().filter(is_own).collect();
    world.publer.posts.retain(|post| !deleted.contains(&&post.id));
    Ok((StatusCode::OK, json!({"deleted_ids": deleted})))
}
