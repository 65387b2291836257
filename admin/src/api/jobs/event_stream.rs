//! The events of a job as Server-Sent Events, from any process.
//!
//! The table is read again whenever something may be new; no transaction stays open in between.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jobs::{
    engine::{
        JobState, Scope,
        events::{self, EventRow},
        ledger::{self, JobRow},
    },
    ids::{JobId, TenantId},
};
use poem::web::sse::Event;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::EventStream,
    types::ToJSON as _,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ApiError,
    api::Tag,
    auth::{Audience, Caller, Identity, Needs},
    database::Database,
    state::AppState,
    streams::Following,
};

/// The number of events in one reading.
const BATCH: i64 = 200;

/// The pause between checks of the credentials. A revoked key sees nothing more within five
/// seconds.
const CREDENTIALS_HOLD: Duration = Duration::from_secs(3);

/// An event of a job. In the stream, `event` is the type of the message and `seq` its id.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct JobEventView {
    /// The type: `progress`, `log`, `state` (a change that the stream saw) or `end`, the last
    /// event.
    event: String,
    /// The event's number in the job, from 1, to send as `Last-Event-ID`. Only `progress` and `log`
    /// have one.
    seq: Option<i32>,
    /// The attempt that the event belongs to.
    attempt: i32,
    /// The units done. Only in `progress`.
    done: Option<i64>,
    /// The units in total. Only in `progress`.
    total: Option<i64>,
    /// `info`, `warning` or `error`. Only in `log`.
    level: Option<String>,
    /// A message for people.
    message: Option<String>,
    /// The job's state. Only in `state` and `end`.
    state: Option<String>,
    /// The number of unfinished children, if the job waits for some. Only in `state`.
    pending: Option<i32>,
    /// The last failure: class, message and, for operators, causes. Only in `state` and `end`.
    error: Option<Value>,
    /// The time of the event.
    created_at: Option<DateTime<Utc>>,
    /// Of end: what browsers send as `Last-Event-ID` when they ask again.
    #[oai(skip)]
    last_seq: Option<i32>,
}

impl From<EventRow> for JobEventView {
    fn from(row: EventRow) -> Self {
        let is_progress = row.done.is_some();
        Self {
            event: if is_progress { "progress" } else { "log" }.to_owned(),
            seq: Some(row.seq),
            attempt: row.attempt,
            done: row.done,
            total: row.total,
            level: (!is_progress).then_some(row.level),
            message: Some(row.message),
            state: None,
            pending: None,
            error: None,
            created_at: Some(row.created_at),
            last_seq: None,
        }
    }
}

impl JobEventView {
    fn state(event: &str, job: &JobRow, audience: Audience) -> Self {
        Self {
            event: event.to_owned(),
            seq: None,
            attempt: job.attempt,
            done: None,
            total: None,
            level: None,
            message: None,
            state: Some(job.state.name().to_owned()),
            pending: (job.pending > 0).then_some(job.pending),
            error: job.error.clone().map(|error| audience.facts(error)),
            created_at: None,
            last_seq: None,
        }
    }

    fn to_message(&self) -> Event {
        let message = Event::message(self.to_json_string()).event_type(self.event.as_str());
        match self.seq.or(self.last_seq) {
            Some(seq) => message.id(seq.to_string()),
            None => message,
        }
    }
}

#[derive(ApiResponse)]
pub(crate) enum Followed {
    /// The messages as they come.
    #[oai(status = 200)]
    Stream(EventStream<BoxStream<'static, JobEventView>>),
    /// The job has ended and said nothing behind `Last-Event-ID`: browsers do not ask again.
    #[oai(status = 204)]
    Over,
}

pub(crate) struct JobEventsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl JobEventsApi {
    /// Follow a job's progress and log as an event stream.
    ///
    /// It starts at the beginning or after `Last-Event-ID`. The first message has the job's state;
    /// the last one is `end`, when the job has ended. If the stream breaks before that, send the
    /// request again with `Last-Event-ID` to continue. Browsers do this by themselves. `tenant_id`
    /// names the job's tenant, for people in several: browsers send no header with such a request.
    #[oai(path = "/jobs/:id/events", method = "get", operation_id = "stream_job_events")]
    async fn stream(
        &self,
        #[oai(scope = "Needs::JobsRead")] caller: Caller,
        id: Path<Uuid>,
        tenant_id: Query<Option<Uuid>>,
        /// The number of the last event that the client received.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<i32>>,
    ) -> Result<Followed, ApiError> {
        let scope = caller.scope_of(tenant_id.0)?;
        let mut tx = self.state.db.read(scope).await?;
        let job = ledger::get_job(&mut tx, JobId(id.0)).await?.ok_or_else(|| ApiError::not_found("job"))?;
        let is_over = match last_event_id.0 {
            Some(last) if job.ended_at.is_some() => {
                events::list_events(&mut tx, job.tenant_id, job.id, last, 1).await?.is_empty()
            }
            Some(_) | None => false,
        };
        drop(tx);
        if is_over {
            return Ok(Followed::Over);
        }
        let following = self
            .state
            .streams
            .follow(job.id, job.tenant_id, caller.actor().id)
            .ok_or_else(ApiError::too_many_streams)?;
        let pace = self.state.streams.pace();
        let reader = Reader {
            db: self.state.db.clone(),
            scope,
            identity: caller.identity(),
            looked_at: Instant::now(),
            audience: caller.audience(),
            tenant_id: job.tenant_id,
            job_id: job.id,
            after: last_event_id.0.unwrap_or(0),
            last_state: None,
            is_behind: true,
            unsent: VecDeque::new(),
            ends_at: Instant::now() + pace.longest_stream,
            following: Some(following),
        };
        let events = stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) });
        let stream = EventStream::new(events.boxed()).keep_alive(pace.heartbeat);
        Ok(Followed::Stream(stream.to_event(|event| event.to_message())))
    }
}

/// The position of a stream.
struct Reader {
    db: Database,
    scope: Scope,
    identity: Arc<Identity>,
    looked_at: Instant,
    audience: Audience,
    tenant_id: TenantId,
    job_id: JobId,
    /// The number of the last event that was read.
    after: i32,
    /// State, attempt and unfinished children, as the last message had them.
    last_state: Option<(JobState, i32, i32)>,
    /// True if the last reading left events unread.
    is_behind: bool,
    unsent: VecDeque<JobEventView>,
    ends_at: Instant,
    /// None once the job has ended.
    following: Option<Following>,
}

impl Reader {
    async fn next(&mut self) -> Option<JobEventView> {
        loop {
            if let Some(event) = self.unsent.pop_front() {
                return Some(event);
            }
            let following = self.following.as_mut()?;
            if Instant::now() > self.ends_at || (!self.is_behind && !following.wait().await) {
                return None;
            }
            if let Err(error) = self.read().await {
                tracing::debug!(job_id = %self.job_id, %error, "could not read events, trying again");
                self.is_behind = false;
            }
        }
    }

    async fn may_still_read(&mut self) -> Result<bool, sqlx::Error> {
        if self.looked_at.elapsed() < CREDENTIALS_HOLD {
            return Ok(true);
        }
        let mut tx = self.db.read(Scope::System).await?;
        let may = self.identity.still_sees(&mut tx, self.tenant_id).await?;
        self.looked_at = Instant::now();
        Ok(may)
    }

    /// Reads the new events. It reads the state first: if the job has ended, all its events are
    /// there.
    async fn read(&mut self) -> Result<(), sqlx::Error> {
        if !self.may_still_read().await? {
            self.following = None;
            return Ok(());
        }
        let mut tx = self.db.read(self.scope).await?;
        let job = ledger::get_job(&mut tx, self.job_id).await?;
        let events = events::list_events(&mut tx, self.tenant_id, self.job_id, self.after, BATCH).await?;
        drop(tx);
        self.is_behind = i64::try_from(events.len()).is_ok_and(|read| read == BATCH);
        self.after = events.last().map_or(self.after, |event| event.seq);
        let unfinished = job.as_ref().filter(|job| job.ended_at.is_none());
        let state = unfinished.map(|job| (job.state, job.attempt, job.pending));
        if let Some(job) = unfinished.filter(|_| state != self.last_state) {
            self.unsent.push_back(JobEventView::state("state", job, self.audience));
            self.last_state = state;
        }
        self.unsent.extend(events.into_iter().map(JobEventView::from));
        if self.is_behind {
            return Ok(());
        }
        match job {
            Some(job) if job.ended_at.is_none() => {}
            Some(job) => {
                let end = JobEventView::state("end", &job, self.audience);
                self.unsent.push_back(JobEventView { last_seq: Some(self.after), ..end });
                self.following = None;
            }
            // Pruned meanwhile: it had ended.
            None => self.following = None,
        }
        Ok(())
    }
}
