//! `{page}/feed` and its like: texts and links go in, posts come out.

use serde_json::Value;
use url::Url;

use crate::clock::parse_bound;
use crate::ledger::{Draft, Effect};
use crate::meta::access::{check_may_publish, check_may_read, page_caller};
use crate::meta::call::Call;
use crate::meta::error::GraphError;
use crate::meta::fields::named;
use crate::meta::paging::pick;
use crate::meta::post::{check_fields, view};
use crate::operation::Operation;
use crate::world::World;

/// Publishes a text or a link on a Page.
///
/// # Errors
/// The token may not, or a parameter is not right.
pub(crate) fn publish(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = page_caller(world, call, call.subject())?;
    check_may_publish(world, &token, &page_id)?;
    refuse_unsupported(call)?;
    let message = checked_message(world, call, "message")?;
    let link = call.params.get("link").map(checked_link).transpose()?;
    if message.is_none() && link.is_none() {
        return Err(GraphError::invalid("Missing message or attachment"));
    }
    if world.switches.duplicate_check && is_duplicate(world, &page_id, message.as_deref()) {
        return Err(GraphError::new(506, "(#506) Duplicate status message"));
    }
    let mut fields = named(&["id"]);
    fields.extend(call.fields()?.unwrap_or_default());
    check_fields(&fields)?;
    let draft = Draft { message, link, picture: None, unpublished: !call.flag("published", true)? };
    let now = world.now();
    let effect = world.ledger.publish(now, Operation::PublishFeed, &page_id, draft);
    view(call, effect, &fields)
}

/// Lists what a Page published, newest first.
///
/// # Errors
/// The token may not, or a parameter is not right.
pub(crate) fn read(world: &mut World, call: &Call) -> Result<Value, GraphError> {
    let (token, page_id) = page_caller(world, call, call.subject())?;
    check_may_read(world, &token)?;
    let fields = call.fields()?.unwrap_or_else(|| named(&["created_time", "message", "id"]));
    let (since, until) = (bound(call, "since")?, bound(call, "until")?);
    let within = |effect: &&Effect| {
        let second = effect.created_time.timestamp();
        since.is_none_or(|since| second >= since) && until.is_none_or(|until| second <= until)
    };
    let posts = world.ledger.visible(&page_id).filter(within).map(|effect| (u64::MAX - effect.seq, effect));
    let (most, empty_middle) = (world.switches.feed_page_limit, world.switches.empty_middle_page);
    let page = pick(call, posts.collect(), most, empty_middle)?;
    page.answer(call, |effect| view(call, effect, &fields))
}

/// Refuses what the provider can do and the sandbox cannot, rather than read over it.
///
/// # Errors
/// A parameter is given that changes what would be published.
pub(crate) fn refuse_unsupported(call: &Call) -> Result<(), GraphError> {
    let names =
        ["attached_media", "scheduled_publish_time", "unpublished_content_type", "backdated_time", "feed_targeting"];
    match names.into_iter().find(|name| call.params.has_prefix(name)) {
        Some(name) => Err(GraphError::invalid(&format!("The sandbox does not take {name}"))),
        None => Ok(()),
    }
}

/// The text in the parameter `name`.
///
/// # Errors
/// It is too long.
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
    let previous = world.ledger.visible(page_id).next();
    previous.is_some_and(|previous| message.is_some() && previous.message.as_deref() == message)
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
