//! The board as Server-Sent Events: counts, and the changed jobs of a filter.
//!
//! A stream itself reads only its caller's credentials. Feeds read the data, once for all streams
//! that show the same.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use jobs::{
    engine::{
        Scope,
        ledger::{self, JobFilter, JobRow},
        stats::{self, Board},
    },
    ids::TenantId,
    kinds,
};
use poem::web::sse::Event;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Query,
    payload::EventStream,
    types::{ParseFromJSON as _, ToJSON as _},
};
use uuid::Uuid;

use super::board::BoardView;
use crate::{
    ApiError,
    api::{
        Tag,
        jobs::{filter::FilterBody, views::JobView},
    },
    auth::{Audience, Caller, Identity, Needs},
    database::Database,
    error::ErrorCode,
    state::AppState,
    streams::{Newest, Place},
};

/// The number of jobs that a stream shows: the newest of its filter.
const SHOWN_JOBS: i64 = 50;

/// The pause between checks of the credentials.
const CREDENTIALS_HOLD: Duration = Duration::from_secs(3);

/// A message of the board's stream.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct BoardEventView {
    /// The type: `board` (the state of the engine) or `jobs` (changed jobs of the filter).
    event: String,
    /// The state of the engine. Only in `board`.
    board: Option<BoardView>,
    /// The jobs among the newest 50 of the filter that are new there or changed. The first message
    /// has all of them. Only in `jobs`.
    jobs: Option<Vec<JobView>>,
    /// The ids of jobs that are not among the newest 50 any more. Only in `jobs`.
    gone: Option<Vec<Uuid>>,
}

impl BoardEventView {
    fn to_message(&self) -> Event {
        Event::message(self.to_json_string()).event_type(self.event.as_str())
    }
}

#[derive(ApiResponse)]
pub(crate) enum Followed {
    /// The messages as they come.
    #[oai(status = 200)]
    Stream(EventStream<BoxStream<'static, BoardEventView>>),
}

pub(crate) struct BoardStreamApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Engine")]
impl BoardStreamApi {
    /// Follow the board as an event stream.
    ///
    /// The first messages have the whole state; later ones come when something changed, every two
    /// seconds at most. With `filter`, the stream has changed jobs too. It is cut after 15 minutes,
    /// and when the process stops: ask again, and it begins anew. For operators.
    #[oai(path = "/board/events", method = "get", operation_id = "stream_board")]
    #[expect(clippy::unused_async, reason = "the framework wants operations to be async")]
    async fn stream(
        &self,
        #[oai(scope = "Needs::EngineRead")] caller: Caller,
        /// A filter of `GET /jobs` as JSON, such as `{"state": "executing"}`; `{}` is all jobs.
        #[oai(validator(max_length = 4000))]
        filter: Query<Option<String>>,
    ) -> Result<Followed, ApiError> {
        caller.operator()?;
        let filter = match filter.0 {
            Some(filter) => Some(read_filter(&filter)?.checked(&caller)?),
            None => None,
        };
        let streams = &self.state.streams;
        let place = streams.place(TenantId::SYSTEM, caller.actor().id).ok_or_else(ApiError::too_many_streams)?;
        let times = streams.pace();
        let db = self.state.db.clone();
        let boards = streams.boards().follow("", times.board, move || read_board(db.clone()));
        let boards = boards.ok_or_else(ApiError::too_many_streams)?;
        let pages = match filter {
            Some(filter) => Some(self.follow_page(filter)?),
            None => None,
        };
        let reader = Reader {
            db: self.state.db.clone(),
            identity: caller.identity(),
            looked_at: Instant::now(),
            ends_at: Instant::now() + times.longest_stream,
            place,
            boards,
            pages,
            shown_board: String::new(),
            shown_jobs: None,
            unsent: VecDeque::new(),
        };
        let events = stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) });
        let stream = EventStream::new(events.boxed()).keep_alive(times.heartbeat);
        Ok(Followed::Stream(stream.to_event(|event| event.to_message())))
    }
}

impl BoardStreamApi {
    fn follow_page(&self, filter: JobFilter) -> Result<Newest<Vec<JobRow>>, ApiError> {
        let (streams, db) = (&self.state.streams, self.state.db.clone());
        let name = serde_json::to_string(&filter).map_err(ApiError::internal)?;
        let filter = Arc::new(filter);
        let read = move || read_page(db.clone(), Arc::clone(&filter));
        streams.pages().follow(&name, streams.pace().board, read).ok_or_else(ApiError::too_many_streams)
    }
}

fn read_filter(filter: &str) -> Result<FilterBody, ApiError> {
    FilterBody::parse_from_json_string(filter).map_err(|error| {
        let detail = format!("filter: it should be JSON with the filters of GET /jobs: {}.", error.into_message());
        ApiError::unprocessable(ErrorCode::BadFilter, detail)
    })
}

async fn read_board(db: Database) -> Result<Board, sqlx::Error> {
    let mut tx = db.read(Scope::System).await?;
    stats::read_board(&mut tx).await
}

async fn read_page(db: Database, filter: Arc<JobFilter>) -> Result<Vec<JobRow>, sqlx::Error> {
    let mut tx = db.read(Scope::System).await?;
    Ok(ledger::list_jobs(&mut tx, kinds::KINDS, &filter, SHOWN_JOBS).await?.jobs)
}

/// The position of a stream.
struct Reader {
    db: Database,
    identity: Arc<Identity>,
    looked_at: Instant,
    ends_at: Instant,
    place: Place,
    boards: Newest<Board>,
    pages: Option<Newest<Vec<JobRow>>>,
    /// The board as the last message had it.
    shown_board: String,
    /// The jobs as the messages so far had them; `None` before the first.
    shown_jobs: Option<HashMap<Uuid, String>>,
    unsent: VecDeque<BoardEventView>,
}

impl Reader {
    async fn next(&mut self) -> Option<BoardEventView> {
        loop {
            if let Some(event) = self.unsent.pop_front() {
                return Some(event);
            }
            if Instant::now() > self.ends_at || !self.may_still_read().await {
                return None;
            }
            tokio::select! {
                () = self.place.closing() => return None,
                () = tokio::time::sleep(CREDENTIALS_HOLD) => {}
                changed = self.boards.changed() => {
                    changed.ok()?;
                    self.take_board();
                }
                changed = changed(&mut self.pages) => {
                    changed.ok()?;
                    self.take_page();
                }
            }
        }
    }

    /// Returns true if the caller is still an operator, or if nobody can tell right now.
    async fn may_still_read(&mut self) -> bool {
        if self.looked_at.elapsed() < CREDENTIALS_HOLD {
            return true;
        }
        self.looked_at = Instant::now();
        let look = async {
            let mut tx = self.db.read(Scope::System).await?;
            self.identity.still_sees(&mut tx, TenantId::SYSTEM).await
        };
        look.await.unwrap_or_else(|error: sqlx::Error| {
            tracing::debug!(%error, "could not read credentials, trying again");
            true
        })
    }

    fn take_board(&mut self) {
        let Some(board) = self.boards.borrow_and_update().clone() else { return };
        let view = BoardView::from((*board).clone());
        let shown = view.to_json_string();
        if shown != self.shown_board {
            self.shown_board = shown;
            self.unsent.push_back(BoardEventView {
                event: "board".to_owned(),
                board: Some(view),
                jobs: None,
                gone: None,
            });
        }
    }

    fn take_page(&mut self) {
        let Some(page) = self.pages.as_mut().and_then(|pages| pages.borrow_and_update().clone()) else { return };
        let shown = self.shown_jobs.take();
        let is_first = shown.is_none();
        let mut before = shown.unwrap_or_default();
        let (mut now, mut changed) = (HashMap::new(), Vec::new());
        for row in page.iter() {
            let id = row.id.0;
            let view = JobView::of(row.clone(), Audience::Operators);
            let text = view.to_json_string();
            if before.remove(&id).as_ref() != Some(&text) {
                changed.push(view);
            }
            now.insert(id, text);
        }
        let gone: Vec<Uuid> = before.into_keys().collect();
        if is_first || !changed.is_empty() || !gone.is_empty() {
            self.unsent.push_back(BoardEventView {
                event: "jobs".to_owned(),
                board: None,
                jobs: Some(changed),
                gone: Some(gone),
            });
        }
        self.shown_jobs = Some(now);
    }
}

/// Waits until there is another page. Without a filter there never is.
async fn changed(pages: &mut Option<Newest<Vec<JobRow>>>) -> Result<(), tokio::sync::watch::error::RecvError> {
    match pages {
        Some(pages) => pages.changed().await,
        None => std::future::pending().await,
    }
}
