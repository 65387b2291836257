//! Meta: Facebook's login dialog, and Graph as far as publishing on Pages needs it.

mod access;
mod accounts;
mod attached;
mod call;
mod dialog;
mod error;
mod exchange;
mod feed;
mod fields;
mod node;
mod paging;
mod permissions;
mod photos;
mod post;
mod token_info;

use poem::{Body, Request, Response, handler};
use serde_json::Value;

pub(crate) use access::proof;
pub(crate) use dialog::{absolute, login_dialog};
pub(crate) use error::GraphError;

use crate::meta::call::Call;
use crate::operation::Operation;
use crate::params::Params;
use crate::provider::Incoming;
use crate::tokens::random_text;
use crate::usage::Usage;
use crate::world::{SharedWorld, World};

/// Handles everything under `/{world}/graph`.
#[handler]
pub(crate) async fn graph(request: &Request, body: Body) -> Response {
    let incoming = match Incoming::read(request, body).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    let params = Params::read(&incoming.query, &incoming.headers, &incoming.body).await;
    let call = Call::new(&incoming, params.as_ref().cloned().unwrap_or_default());
    let operation = operation(&call);
    incoming.answer(operation, move |incoming, _| respond(incoming.world, operation, call, params.err())).await
}

fn operation(call: &Call) -> Operation {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET" | "POST", ["oauth", "access_token"]) => match call.params.get("grant_type") {
            Some("fb_exchange_token") => Operation::ExchangeToken,
            _ => Operation::ExchangeCode,
        },
        ("GET", ["debug_token"]) => Operation::DebugToken,
        ("GET", ["me"]) => Operation::ReadMe,
        ("GET", [_, "accounts"]) => Operation::ListAccounts,
        ("GET", [_, "permissions"]) => Operation::ReadPermissions,
        ("DELETE", [_, "permissions"] | [_, "permissions", _]) => Operation::RevokePermissions,
        ("POST", [_, "feed"]) => Operation::PublishFeed,
        ("POST", [_, "photos"]) if !call.flag("published", true).unwrap_or(true) => Operation::StagePhoto,
        ("POST", [_, "photos"]) => Operation::PublishPhoto,
        ("GET", [_, "feed" | "posts" | "published_posts"]) => Operation::ReadFeed,
        ("GET", [_]) => Operation::ReadPost,
        ("DELETE", [_]) => Operation::DeletePost,
        _ => Operation::Unknown,
    }
}

async fn respond(
    world: SharedWorld,
    operation: Operation,
    mut call: Call,
    unreadable: Option<&'static str>,
) -> Response {
    if matches!(operation, Operation::PublishPhoto | Operation::StagePhoto) {
        call.picture = photos::receive(&call.params).await;
    }
    let mut world = world.lock();
    let result = match unreadable {
        Some(reason) => Err(GraphError::invalid(reason)),
        None => call.check_version().and_then(|()| perform(&mut world, operation, &call)),
    };
    let response = match result {
        Ok(json) => Response::builder().content_type("application/json; charset=UTF-8").body(json.to_string()),
        Err(error) => error.into_response(),
    };
    with_graph_headers(response, &world, &call)
}

fn perform(world: &mut World, operation: Operation, call: &Call) -> Result<Value, GraphError> {
    match operation {
        Operation::ExchangeCode => exchange::exchange_code(world, call),
        Operation::ExchangeToken => exchange::exchange_token(world, call),
        Operation::DebugToken => token_info::debug_token(world, call),
        Operation::ReadMe => accounts::read_me(world, call),
        Operation::ListAccounts => accounts::list_accounts(world, call),
        Operation::ReadPermissions => permissions::read(world, call),
        Operation::RevokePermissions => permissions::revoke(world, call),
        Operation::PublishFeed => feed::publish(world, call),
        Operation::PublishPhoto | Operation::StagePhoto => photos::publish(world, call),
        Operation::ReadFeed => feed::read(world, call),
        Operation::ReadPost => post::read(world, call),
        Operation::DeletePost => post::delete(world, call),
        Operation::LoginDialog
        | Operation::ChatCompletion
        | Operation::ListModels
        | Operation::GoogleDialog
        | Operation::GoogleToken
        | Operation::GoogleUser
        | Operation::GithubDialog
        | Operation::GithubToken
        | Operation::GithubUser
        | Operation::GithubEmails
        | Operation::DriveToken
        | Operation::DriveUser
        | Operation::PublerUser
        | Operation::PublerWorkspaces
        | Operation::PublerAccounts
        | Operation::PublerPosts
        | Operation::PublerSchedule
        | Operation::PublerChangePost
        | Operation::PublerDeletePosts
        | Operation::PublerJob
        | Operation::PublerMedia
        | Operation::PublerUpload
        | Operation::PublerImport
        | Operation::Unknown => Err(GraphError::unknown_path(&call.path.join("/"))),
    }
}

fn with_graph_headers(mut response: Response, world: &World, call: &Call) -> Response {
    put_graph_headers(&mut response, &call.version);
    let usage = Usage {
        app_percent: Some(world.switches.usage_percent),
        business_percent: Some(world.switches.usage_percent),
        regain_access_minutes: Some(world.switches.regain_access_minutes),
        retry_after: world.switches.retry_after.clone(),
    };
    usage.put_on(&mut response, page_id(world, call.subject()));
    response
}

fn put_graph_headers(response: &mut Response, version: &str) {
    let headers = [
        ("facebook-api-version", version.to_owned()),
        ("x-fb-debug", random_text(64)),
        ("x-fb-rev", "1030000000".to_owned()),
        ("x-fb-trace-id", random_text(11)),
        ("cache-control", "private, no-cache, no-store, must-revalidate".to_owned()),
    ];
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
}

/// Returns the Page of an id: the Page's own id, or that of a post or picture.
fn page_id<'a>(world: &'a World, id: &'a str) -> Option<&'a str> {
    let first = id.split('_').next().unwrap_or_default();
    if world.has_page(first) { Some(first) } else { world.ledger.page_of(id) }
}

/// Returns the Page that the path of a call names.
pub(crate) fn page_of_path(world: &World, segments: &[&str]) -> Option<String> {
    segments.iter().take(2).find_map(|id| page_id(world, id)).map(str::to_owned)
}
