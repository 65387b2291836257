//! Publer: the API of one workspace's key. Source: Publer's API documentation and its `OpenAPI`
//! description; where they contradict each other, a switch chooses.

mod jobs;
mod media;
mod posts;
mod settings;

use chrono::{DateTime, TimeDelta, Utc};
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Body, Request, Response, handler};
use serde_json::{Value, json};

pub(crate) use self::settings::Settings;
use self::settings::{ApiKey, Scope, Workspace};
use crate::identity::{json, serve};
use crate::operation::Operation;
use crate::params::Params;
use crate::provider::Incoming;
use crate::world::World;

/// The fixed window in which requests are counted.
const WINDOW: TimeDelta = TimeDelta::minutes(2);

/// The state of Publer in one world.
#[derive(Debug, Default)]
pub(crate) struct Publer {
    pub(crate) settings: Settings,
    /// The requests of each user: the start of the window, and their number in it.
    windows: Vec<(String, DateTime<Utc>, u32)>,
    media: Vec<media::Medium>,
    jobs: Vec<jobs::Job>,
    posts: Vec<posts::Post>,
}

/// A call with a valid key, of a workspace if it needs one.
struct Caller<'a> {
    incoming: &'a Incoming,
    params: &'a Params,
    now: DateTime<Utc>,
    workspace: Option<Workspace>,
}

impl Caller<'_> {
    fn workspace(&self) -> Result<&Workspace, Refusal> {
        self.workspace.as_ref().ok_or_else(|| Refusal::forbidden("Publer-Workspace-Id header is missing"))
    }
}

/// A failed call: its status and its text.
struct Refusal(StatusCode, String);

impl Refusal {
    fn invalid(words: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, words.into())
    }

    fn missing(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    fn forbidden(words: &str) -> Self {
        Self(StatusCode::FORBIDDEN, words.to_owned())
    }
}

type Reply = Result<(StatusCode, Value), Refusal>;

/// Handles everything under `/{world}/publer`.
#[handler]
pub(crate) async fn serve_publer(request: &Request, body: Body) -> Response {
    serve(request, body, route).await
}

fn route(method: &str, path: &[&str]) -> (Operation, crate::identity::Handle) {
    match (method, path) {
        ("GET", ["users", "me"]) => (Operation::PublerUser, |call, params| answer(call, params, None, user)),
        ("GET", ["workspaces"]) => {
            (Operation::PublerWorkspaces, |call, params| answer(call, params, Some(Scope::Workspaces), workspaces))
        }
        ("GET", ["accounts"]) => {
            (Operation::PublerAccounts, |call, params| answer(call, params, Some(Scope::Accounts), accounts))
        }
        ("GET", ["posts"]) => {
            (Operation::PublerPosts, |call, params| answer(call, params, Some(Scope::Posts), posts::list))
        }
        ("POST", ["posts", "schedule"] | ["posts", "schedule", "publish"]) => {
            (Operation::PublerSchedule, |call, params| answer(call, params, Some(Scope::Posts), posts::schedule))
        }
        ("PUT", ["posts", _]) => {
            (Operation::PublerChangePost, |call, params| answer(call, params, Some(Scope::Posts), posts::change))
        }
        ("DELETE", ["posts"]) => {
            (Operation::PublerDeletePosts, |call, params| answer(call, params, Some(Scope::Posts), posts::delete))
        }
        ("GET", ["job_status", _]) => (Operation::PublerJob, |call, params| answer(call, params, None, jobs::status)),
        ("GET", ["media"]) => {
            (Operation::PublerMedia, |call, params| answer(call, params, Some(Scope::Media), media::list))
        }
        ("POST", ["media"]) => {
            (Operation::PublerUpload, |call, params| answer(call, params, Some(Scope::Media), media::upload))
        }
        ("POST", ["media", "from-url"]) => {
            (Operation::PublerImport, |call, params| answer(call, params, Some(Scope::Media), media::import))
        }
        _ => (Operation::Unknown, |call, params| answer(call, params, None, |_, _| Err(Refusal::missing("Route")))),
    }
}

type Handle = fn(&mut World, &Caller<'_>) -> Reply;

/// Checks the key, counts the request, and checks scope and workspace. Then it handles the call.
fn answer(incoming: &Incoming, params: &Params, scope: Option<Scope>, handle: Handle) -> Response {
    let mut world = incoming.world.lock();
    let now = world.now();
    let key = match key_of(&world.publer.settings, &incoming.headers) {
        Ok(key) => key,
        Err(refusal) => return refused(&refusal),
    };
    let (limit, left, reset) = count(&mut world.publer, &key.user_id, now);
    let mut response = if left.is_some() {
        match called(&mut world, incoming, params, &key, scope, handle) {
            Ok((status, body)) => json(status, &body),
            Err(refusal) => refused(&refusal),
        }
    } else {
        json(StatusCode::TOO_MANY_REQUESTS, &json!({"error": "Rate limit exceeded. Retry later."}))
    };
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from(limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(left.unwrap_or(0)));
    headers.insert("x-ratelimit-reset", HeaderValue::from(reset.timestamp()));
    response
}

fn called(
    world: &mut World,
    incoming: &Incoming,
    params: &Params,
    key: &ApiKey,
    scope: Option<Scope>,
    handle: Handle,
) -> Reply {
    if scope.is_some_and(|scope| !key.scopes.contains(&scope)) {
        return Err(Refusal::forbidden("The API key does not have the required scope"));
    }
    let is_of_user = matches!(incoming.segments().as_slice(), ["users", "me"] | ["workspaces"]);
    let workspace = if is_of_user { None } else { Some(workspace_of(world, incoming, key)?) };
    let now = world.now();
    handle(world, &Caller { incoming, params, now, workspace })
}

/// Returns the key in the header, which has a scheme of its own.
fn key_of(settings: &Settings, headers: &HeaderMap) -> Result<ApiKey, Refusal> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|sent| sent.strip_prefix("Bearer-API ")).unwrap_or_default();
    let known = settings.keys.iter().find(|key| key.key == sent);
    known.cloned().ok_or_else(|| Refusal(StatusCode::UNAUTHORIZED, "You need to sign in before continuing.".to_owned()))
}

/// Counts a request. Returns the limit, what is left of it (`None` if it is over), and the end of
/// the window.
fn count(publer: &mut Publer, user_id: &str, now: DateTime<Utc>) -> (u32, Option<u32>, DateTime<Utc>) {
    let limit = publer.settings.requests_per_window;
    publer.windows.retain(|(_, start, _)| now < *start + WINDOW);
    if !publer.windows.iter().any(|(user, ..)| user == user_id) {
        publer.windows.push((user_id.to_owned(), now, 0));
    }
    let window = publer.windows.iter_mut().find(|(user, ..)| user == user_id).expect("it was added");
    window.2 += 1;
    (limit, limit.checked_sub(window.2), window.1 + WINDOW)
}

fn workspace_of(world: &World, incoming: &Incoming, key: &ApiKey) -> Result<Workspace, Refusal> {
    let id = incoming.headers.get("publer-workspace-id").and_then(|value| value.to_str().ok());
    let id = id.unwrap_or_default();
    if id.is_empty() {
        return Err(Refusal::forbidden("Publer-Workspace-Id header is missing"));
    }
    let all = &world.publer.settings.workspaces;
    let own = all.iter().find(|one| one.id == id && one.members.contains(&key.user_id));
    own.cloned().ok_or_else(|| Refusal::forbidden("You do not have access to this workspace"))
}

fn refused(Refusal(status, words): &Refusal) -> Response {
    json(*status, &json!({"errors": [words]}))
}

fn user(world: &mut World, caller: &Caller<'_>) -> Reply {
    let ApiKey { user_id, .. } = key_of(&world.publer.settings, &caller.incoming.headers)?;
    let email = format!("{user_id}@example.com");
    Ok((StatusCode::OK, json!({"id": user_id, "email": email, "name": "Ada Rossi", "first_name": "Ada"})))
}

fn workspaces(world: &mut World, caller: &Caller<'_>) -> Reply {
    let user_id = key_of(&world.publer.settings, &caller.incoming.headers)?.user_id;
    let own = world.publer.settings.workspaces.iter().filter(|one| one.members.contains(&user_id));
    let shown = own.map(|one| {
        let owner = json!({"id": one.members.first()});
        json!({"id": one.id, "name": one.name, "owner": owner, "members": one.members, "plan": "business", "picture": null})
    });
    Ok((StatusCode::OK, shown.collect()))
}

fn accounts(_: &mut World, caller: &Caller<'_>) -> Reply {
    let accounts = &caller.workspace()?.accounts;
    Ok((StatusCode::OK, accounts.iter().map(|account| json!(account)).collect()))
}

/// Returns a new id of 24 hexadecimal digits.
fn new_id() -> String {
    hex::encode(rand::random::<[u8; 12]>())
}
