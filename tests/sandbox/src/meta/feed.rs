//! `{page}/feed` and its variants: publishes texts and links, and lists posts.

use chrono::TimeDelta;
use serde_json::{Value, json};
use url::Url;

use crate::clock::parse_bound;
use crate::ledger::{Draft, Effect, Named, Origin};
use crate::meta::access::{check_may_publish, check_may_read, page_caller};
use crate::meta::attached::attached_media;
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::fields::named;
use crate::meta::node::{check_post_fields, view_post};
use crate::meta::paging::pick;
use crate::operation::Operation;
use crate::switches::FeedPaging;
use crate::tokens::Token;
use crate::world::World;

/// Publishes a text or a link on a Page.
pub(crate) fn publish(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = page_caller(world, call, call.subject())?;
    check_may_publish(world, &token, &page_id)?;
    refuse_unsupported(call)?;
    let message = checked_message(world, call, "message")?;
    let link = call.params.get("link").map(checked_link).transpose()?;
    let photo_ids = attached_media(world, call, &page_id)?;
    if link.is_some() && !photo_ids.is_empty() {
        return Err(GraphError::invalid("Param link cannot be combined with attached_media"));
    }
    if message.is_none() && link.is_none() && photo_ids.is_empty() {
        return Err(GraphError::invalid("Missing message or attachment"));
    }
    if world.switches.duplicate_check && is_duplicate(world, &page_id, message.as_deref()) {
        return Err(GraphError::new(506, "(#506) Duplicate status message"));
    }
    let mut fields = named(&["id"]);
    fields.extend(call.fields()?.unwrap_or_default());
    check_post_fields(&fields)?;
    let unpublished = !call.flag("published", true)?;
    let draft =
        Draft { message, link, photo_ids, unpublished, ..draft(world, Operation::PublishFeed, &token, &page_id) };
    let effect = world.ledger.publish(draft);
    if call.params.get("fields").is_some() {
        check_may_read(world, &token).map_err(|error| error.after_write(json!({"id": effect.post_id})))?;
    }
    view_post(world, call, &effect, &fields)
}

/// Returns an empty draft of the app for a Page.
pub(crate) fn draft(world: &World, operation: Operation, token: &Token, page_id: &str) -> Draft {
    let name = world.page(&token.user_id, page_id).map_or(String::new(), |page| page.name.clone());
    let origin = Origin {
        operation,
        page_id: page_id.to_owned(),
        from: Named { id: page_id.to_owned(), name },
        application: Some(Named { id: world.switches.app_id.clone(), name: "Sandbox".to_owned() }),
        user_id: Some(token.user_id.clone()),
        token_id: Some(token.id),
    };
    Draft {
        origin,
        message: None,
        link: None,
        photo_ids: Vec::new(),
        unpublished: false,
        created_time: world.clock.shown(),
        visible_from: world.now() + TimeDelta::seconds(world.switches.feed_lag_seconds.into()),
    }
}

/// Lists what a Page published, newest first.
pub(crate) fn read(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = page_caller(world, call, call.subject())?;
    check_may_read(world, &token)?;
    let fields = call.fields()?.unwrap_or_else(|| named(&["created_time", "message", "id"]));
    let (since, until) = (bound(call, "since")?, bound(call, "until")?);
    let within = |effect: &&Effect| {
        let second = effect.created_time.timestamp();
        since.is_none_or(|since| second >= since) && until.is_none_or(|until| second <= until)
    };
    check_post_fields(&fields)?;
    let world = &*world;
    let posts = world.ledger.visible(&page_id, world.now()).into_iter().filter(within);
    let posts = posts.map(|effect| (effect.feed_key(), effect)).collect();
    let (most, empty_middle) = (world.switches.feed_page_limit, world.switches.empty_middle_page);
    let page = pick(call, posts, most, empty_middle)?;
    let view = |effect| view_post(world, call, effect, &fields);
    match world.switches.feed_paging {
        FeedPaging::Cursors => page.answer(call, view),
        FeedPaging::NextOnly => page.answer_without_cursors(call, |effect| effect.created_time.timestamp(), view),
    }
}

/// Rejects parameters that the provider supports and the sandbox does not. Ignoring them would
/// publish something else.
pub(crate) fn refuse_unsupported(call: &Call) -> Result<(), GraphError> {
    let names = ["scheduled_publish_time", "unpublished_content_type", "backdated_time", "feed_targeting"];
    match names.into_iter().find(|name| call.params.has_prefix(name)) {
        Some(name) => Err(GraphError::invalid(&format!("The sandbox does not take {name}"))),
        None => Ok(()),
    }
}

/// Returns the text in the parameter `name`, unless it is too long.
pub(crate) fn checked_message(world: &World, call: &Call, name: &str) -> Result<Option<String>, GraphError> {
    let message = call.params.get(name).map(str::to_owned);
    let most = world.switches.message_limit;
    match message {
        Some(message) if message.chars().count() > most => {
            Err(GraphError::invalid(&format!("Param {name} must not be longer than {most} characters")))
        }
        message => Ok(message),
    }
}

fn checked_link(link: &str) -> Result<String, GraphError> {
    let address = Url::parse(link).ok().filter(|address| matches!(address.scheme(), "http" | "https"));
    let Some(host) = address.as_ref().and_then(Url::host_str) else {
        return Err(GraphError::invalid("The url you supplied is invalid").subcode(2_061_006));
    };
    if host == "facebook.com" || host.ends_with(".facebook.com") {
        return Err(GraphError::invalid("Links to Facebook cannot be posted").subcode(1_609_008));
    }
    Ok(link.to_owned())
}

fn is_duplicate(world: &World, page_id: &str, message: Option<&str>) -> bool {
    let visible = world.ledger.visible(page_id, world.now());
    visible.first().is_some_and(|previous| message.is_some() && previous.message.as_deref() == message)
}

fn bound(call: &Call, name: &str) -> Result<Option<i64>, GraphError> {
    let Some(text) = call.params.get(name) else {
        return Ok(None);
    };
    match parse_bound(text) {
        Some(instant) => Ok(Some(instant.timestamp())),
        None => Err(GraphError::invalid(&format!("Param {name} must be a valid time"))),
    }
}
