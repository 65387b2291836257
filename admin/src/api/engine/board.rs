//! The state of the engine at a glance, for the page that operators land on.

use std::collections::BTreeMap;

use jobs::engine::{
    Scope,
    stats::{self, Alerts, Board, Trouble},
};
use poem_openapi::{Enum, Object, OpenApi, payload::Json};

use super::queues::CountView;
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    state::AppState,
};

/// The reason why a queue's work is not consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum TroubleName {
    /// There is work now or within five minutes, and no live worker that serves the queue.
    NoWorker,
    /// No worker makes due work available.
    NotPromoted,
    /// Work that nothing holds back has waited for minutes, and none of it is taken.
    Standstill,
}

impl From<Trouble> for TroubleName {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Nobody => Self::NoWorker,
            Trouble::NotPromoted => Self::NotPromoted,
            Trouble::Standstill => Self::Standstill,
        }
    }
}

/// A queue whose work is not consumed.
#[derive(Debug, Clone, Object)]
struct LateQueueView {
    queue: String,
    trouble: TroubleName,
}

/// Counts of what needs an operator. Each stops at 10,000.
#[derive(Debug, Clone, Object)]
struct AlertsView {
    /// Workers that died within the last hour: `GET /workers`.
    dead_workers: CountView,
    /// Discarded jobs: `GET /jobs?state=discarded`.
    discarded: CountView,
    /// Discarded jobs that ended within the last day, of the newest 1,000: with `ended_since`.
    discarded_lately: CountView,
    /// Calls of which nobody can tell whether they happened: `GET /jobs?state=suspended`, jobs with
    /// `suspended_on` `unknown_effect`.
    unknown_effects: CountView,
    /// Jobs that wait for a person to read their error.
    for_person: CountView,
    /// Accounts whose jobs wait: `GET /parked-accounts`.
    parked_accounts: CountView,
}

impl From<Alerts> for AlertsView {
    fn from(alerts: Alerts) -> Self {
        Self {
            dead_workers: alerts.dead_workers.into(),
            discarded: alerts.discarded.into(),
            discarded_lately: alerts.discarded_lately.into(),
            unknown_effects: alerts.unknown_effects.into(),
            for_person: alerts.for_person.into(),
            parked_accounts: alerts.parked_accounts.into(),
        }
    }
}

/// The state of the engine.
#[derive(Debug, Clone, Object)]
pub(crate) struct BoardView {
    /// Unfinished jobs by queue and state. Counting stops at 10,000, as in `GET /stats`.
    queues: BTreeMap<String, BTreeMap<String, CountView>>,
    alerts: AlertsView,
    /// The queues whose work is not consumed.
    late_queues: Vec<LateQueueView>,
    /// The number of live workers.
    live_workers: i64,
    /// True if nothing needs an operator: no worker died, no queue is late, nothing is unknown or
    /// parked, no job waits for a person, and none was discarded within the last day.
    is_quiet: bool,
}

impl From<Board> for BoardView {
    fn from(board: Board) -> Self {
        let mut queues: BTreeMap<String, BTreeMap<String, CountView>> = BTreeMap::new();
        for ((queue, state), count) in board.depths {
            queues.entry(queue).or_default().insert(state.name().to_owned(), count.into());
        }
        let late_queues: Vec<LateQueueView> = board
            .late_queues
            .into_iter()
            .map(|(queue, trouble)| LateQueueView { queue, trouble: trouble.into() })
            .collect();
        let alerts = &board.alerts;
        let live_workers = alerts.live_workers;
        let is_quiet = late_queues.is_empty()
            && [
                alerts.dead_workers,
                alerts.discarded_lately,
                alerts.unknown_effects,
                alerts.for_person,
                alerts.parked_accounts,
            ]
            .iter()
            .all(|count| count.count == 0);
        Self { queues, alerts: board.alerts.into(), late_queues, live_workers, is_quiet }
    }
}

pub(crate) struct BoardApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl BoardApi {
    /// Get the state of the engine at a glance.
    ///
    /// Counts of jobs by queue and state, and of what needs an operator. Cheap even with millions
    /// of jobs. For operators.
    #[oai(path = "/board", method = "get", operation_id = "get_board")]
    async fn get(&self, #[oai(scope = "Needs::EngineRead")] caller: Caller) -> Result<Json<BoardView>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.read(Scope::System).await?;
        Ok(Json(stats::read_board(&mut tx).await?.into()))
    }
}
