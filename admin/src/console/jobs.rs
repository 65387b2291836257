//! The job board: jobs by state, found by a filter, with what can be done to them.

mod action;
mod bulk;
mod counts;
mod explanation;
mod filter;
mod job;
mod row;
mod settle;
mod timeline;

use std::collections::BTreeMap;

use jobs::{
    engine::{Scope, Tx, ledger, stats},
    ids::TenantId,
    kinds::KINDS,
    tenants,
};
use poem::{Response, Result, handler, http::StatusCode, web::Data};

use self::{
    action::{ACTIONS, Button},
    counts::{Red, StateCount},
    filter::Filter,
    row::Row,
};
pub(super) use self::{
    bulk::{act_on_matching, act_on_selected, show_matching},
    job::{act, show as show_job},
    settle::submit as settle_effect,
};
use super::{frame::Frame, parts::Live, visitor::Visitor};
use crate::{
    ApiError,
    html::page,
    http::paging::{decode, encode},
    state::AppState,
};

/// The permission to act on jobs.
const MAY_ACT: &str = "jobs:retry";

/// The jobs on one page.
const ROWS: i64 = 50;

#[derive(askama::Template)]
#[template(path = "console/jobs.html")]
struct BoardPage {
    frame: Frame,
    filter: Filter,
    kinds: Vec<(String, String)>,
    queues: Vec<(String, String)>,
    state_choices: Vec<(String, String)>,
    states: Vec<StateCount>,
    /// The counts of work that waits for a person; absent on a page about one workspace.
    reds: Option<Vec<Red>>,
    rows: Vec<Row>,
    /// The address of older jobs.
    next: Option<String>,
    buttons: Vec<Button>,
    /// The addresses of what is done to all that match, by their labels.
    matching: Vec<(&'static str, String)>,
    address: String,
    selected_address: String,
    workspace: Option<String>,
    is_operator: bool,
    /// Absent on a page of older jobs.
    live: Option<Live>,
}

/// Shows the board.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    Ok(page(StatusCode::OK, &board(state, &visitor).await?))
}

async fn board(state: &AppState, visitor: &Visitor) -> Result<BoardPage, ApiError> {
    let scope = visitor.scope()?;
    let mut filter = Filter::read(&visitor.query, visitor.workspace)?;
    filter.jobs.after = visitor.asked("after").and_then(|after| decode(&after));
    let mut tx = state.db.read(scope).await?;
    let now = tx.now().await?;
    let listed = ledger::list_jobs(&mut tx, KINDS, &filter.jobs, ROWS).await?;
    let (counts, reds, tenants) = match scope {
        Scope::Tenant(id) => (stats::tenant_counts(&mut tx, id).await?.into_iter().collect(), None, BTreeMap::new()),
        Scope::System => {
            let board = stats::read_board(&mut tx).await?;
            let reds = counts::reds(&board, stats::oldest_due(&mut tx).await?);
            let counts = counts::of_all(&board, stats::finished_lately(&mut tx).await?);
            (counts, Some(reds), names(&mut tx, &listed.jobs).await?)
        }
    };
    drop(tx);
    let may_act = visitor.may(MAY_ACT);
    let matching = |action| {
        let address = filter.address_with("/jobs/matching", "action", ledger::Action::name(action));
        (action::label(action), visitor.to(&address))
    };
    let next = |place: (_, _)| visitor.to(&filter.address_with("/jobs", "after", &encode(&place)));
    Ok(BoardPage {
        frame: Frame::new(state, visitor, "Jobs").await?,
        kinds: filter::kind_choices(),
        queues: filter::queue_choices(),
        state_choices: filter::state_choices(),
        rows: listed.jobs.iter().map(|job| Row::of(job, visitor, &tenants, now)).collect(),
        next: listed.next.map(next),
        buttons: if may_act { ACTIONS.map(Button::of).into() } else { Vec::new() },
        matching: if may_act && !filter.is_empty() { ACTIONS.map(matching).into() } else { Vec::new() },
        address: visitor.to("/jobs"),
        selected_address: visitor.to(&filter.address("/jobs/selected")),
        workspace: visitor.workspace.map(|id| id.to_string()),
        is_operator: visitor.is_operator(),
        states: counts::states(&counts, visitor, &filter),
        live: filter.jobs.after.is_none().then(|| live(visitor, &filter)),
        reds,
        filter,
    })
}

/// The board follows its stream, which is for operators. Others see it change within half a minute.
fn live(visitor: &Visitor, filter: &Filter) -> Live {
    let stream = visitor.may("engine:read").then(|| filter.stream()).flatten();
    Live { parts: "attention states board", stream: stream.filter(|_| visitor.is_operator()) }
}

/// Returns the names of the tenants of some jobs.
async fn names(tx: &mut Tx, listed: &[ledger::JobRow]) -> Result<BTreeMap<TenantId, String>, sqlx::Error> {
    let ids: Vec<TenantId> = listed.iter().map(|job| job.tenant_id).collect();
    tenants::store::names(tx, &ids).await
}
