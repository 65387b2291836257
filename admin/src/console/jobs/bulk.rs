//! An action on many jobs: those that were chosen, or all that match the filter. The latter shows
//! first what it would do.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    engine::ledger::{Action, JobFilter},
    ids::JobId,
    kinds,
    operations::{self, ActedOnMany, Order, Tally},
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, cookie::CookieJar},
};
use serde_json::json;

use super::{action, filter::Filter};
use crate::{
    ApiError,
    console::{
        frame::Frame,
        notice::Notice,
        visitor::Visitor,
        words::{self, When},
    },
    error::ErrorCode,
    html::page,
    pages::Sent,
    state::AppState,
};

/// The most jobs that a preview looks at.
const MAX_PREVIEWED: usize = 10_000;

/// The most jobs that a form of a list chooses: those on its page.
const MAX_CHOSEN: usize = 200;

/// The parameter with the time of the preview: jobs that came later are none of those shown.
const BEFORE: &str = "before";

/// The fields of a form, in which a name may stand several times.
type Fields = Vec<(String, String)>;

/// Acts on the chosen jobs.
#[handler]
pub(in super::super) async fn act_on_selected(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(fields): Sent<Fields>,
) -> Result<Response> {
    let filter = Filter::read(&visitor.query, visitor.workspace)?;
    let name = fields.iter().find(|(name, _)| name == "action").map_or("", |(_, value)| value);
    let (action, ids) = (action::named(name)?, chosen(&fields)?);
    let mut tx = state.db.write(visitor.scope()?, &visitor.caller).await.map_err(ApiError::from)?;
    if ids.is_empty() {
        Notice::info("No job was chosen, so nothing was done. Choose some, then press the button.")
            .keep(state, cookies);
    } else {
        let (keyring, asked) = (&state.services.keyring, json!({ "ids": ids.len() }));
        let order = Order { keyring, actor: visitor.caller.actor(), action, asked: &asked, job_id: None };
        let tally = operations::act_on_selection(&mut tx, kinds::KINDS, &order, &ids).await.map_err(ApiError::from)?;
        notice(&tally).keep(state, cookies);
    }
    visitor.leave(tx, &filter.address("/jobs")).await
}

fn chosen(fields: &Fields) -> Result<Vec<JobId>, ApiError> {
    let ids: Result<Vec<JobId>, _> =
        fields.iter().filter(|(name, _)| name == "id").map(|(_, id)| id.parse().map(JobId)).collect();
    match ids {
        Ok(ids) if ids.len() <= MAX_CHOSEN => Ok(ids),
        Ok(_) | Err(_) => {
            let detail = "The form names jobs that no list shows. Open the list again, and choose there.";
            Err(ApiError::bad_request(ErrorCode::Malformed, detail))
        }
    }
}

fn notice(tally: &Tally) -> Notice {
    let words = action::told(tally);
    if tally.done.is_empty() { Notice::warn(words) } else { Notice::ok(words) }
}

/// A number of jobs with the reason.
struct Part {
    count: String,
    words: String,
}

#[derive(askama::Template)]
#[template(path = "console/jobs/matching.html")]
struct MatchingPage {
    frame: Frame,
    label: &'static str,
    meaning: &'static str,
    conditions: Vec<String>,
    changes: i64,
    changed: String,
    skipped: Vec<Part>,
    /// False if there are more jobs than a preview looks at.
    is_complete: bool,
    is_bad: bool,
    address: String,
    back: String,
}

impl MatchingPage {
    /// Returns the number of jobs that change, as a button says it.
    fn jobs(&self) -> String {
        let jobs = words::count(self.changes, "job", "jobs");
        if self.is_complete { jobs } else { format!("{jobs} and more") }
    }
}

/// Shows what an action would do to all jobs that match.
#[handler]
pub(in super::super) async fn show_matching(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let (action, filter) = asked(&visitor)?;
    // A preview only reads; its transaction is rolled back.
    let mut tx = state.db.write(visitor.scope()?, &visitor.caller).await.map_err(ApiError::from)?;
    let now = tx.now().await.map_err(ApiError::from)?;
    let selection = operations::select(&mut tx, &filter.jobs, MAX_PREVIEWED).await.map_err(ApiError::from)?;
    let tally = operations::preview_selection(&mut tx, kinds::KINDS, action, &selection.ids).await;
    let tally = tally.map_err(ApiError::from)?;
    drop(tx);
    let sum = |counts: &BTreeMap<String, u64>| i64::try_from(counts.values().sum::<u64>()).unwrap_or(i64::MAX);
    let skipped = tally.skipped.iter().map(|(code, count)| Part {
        count: words::number(i64::try_from(*count).unwrap_or(i64::MAX)),
        words: action::reason(code).to_owned(),
    });
    let shown = MatchingPage {
        frame: Frame::new(state, &visitor, "Act on all that match").await?,
        label: action::label(action),
        meaning: action::meaning(action),
        conditions: filter.words(),
        changes: sum(&tally.done),
        changed: action::told(&Tally { skipped: BTreeMap::new(), ..tally.clone() }),
        skipped: skipped.collect(),
        is_complete: selection.is_complete,
        is_bad: matches!(action, Action::Cancel | Action::Discard),
        address: visitor.to(&confirming(&filter, action, now)),
        back: visitor.to(&filter.address("/jobs")),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// Returns the address that does what was shown.
fn confirming(filter: &Filter, action: Action, now: DateTime<Utc>) -> String {
    let address = filter.address_with("/jobs/matching", "action", action.name());
    format!("{address}&{BEFORE}={}", When::of(now, now).stamp)
}

fn asked(visitor: &Visitor) -> Result<(Action, Filter), ApiError> {
    let filter = Filter::read(&visitor.query, visitor.workspace)?;
    if filter.is_empty() {
        let detail = "Choose a filter first: an action on every job there is helps nobody.";
        return Err(ApiError::bad_request(ErrorCode::BadFilter, detail));
    }
    Ok((action::named(&visitor.asked("action").unwrap_or_default())?, filter))
}

/// Acts on all jobs that match: at once, or by a job whose page shows how far it is.
#[handler]
pub(in super::super) async fn act_on_matching(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(_): Sent<Fields>,
) -> Result<Response> {
    let (action, filter) = asked(&visitor)?;
    let before: Option<DateTime<Utc>> = visitor.asked(BEFORE).and_then(|time| time.parse().ok());
    let until = filter.jobs.until.into_iter().chain(before).min();
    let (services, actor) = (&state.services, visitor.caller.actor());
    let mut tx = state.db.write(visitor.scope()?, &visitor.caller).await.map_err(ApiError::from)?;
    let acted =
        operations::act_on_filter(&mut tx, services, actor, action, JobFilter { until, ..filter.jobs.clone() }).await;
    match acted.map_err(ApiError::from)? {
        ActedOnMany::Done(tally) => {
            notice(&tally).keep(state, cookies);
            visitor.leave(tx, &filter.address("/jobs")).await
        }
        ActedOnMany::Enqueued { job, .. } => {
            Notice::info("This job does it, in chunks. Its page shows how far it is.").keep(state, cookies);
            visitor.leave(tx, &format!("/jobs/{}", job.id)).await
        }
    }
}
