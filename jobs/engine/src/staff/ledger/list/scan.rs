//! The conditions of a filter that an index serves.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    JobState, Kind,
    ids::JobId,
    ledger::{JobFilter, get_job},
};

/// A filter, reduced to the conditions that an index serves. The others are tested row by row.
pub(super) struct Scan {
    /// The id that the text names, if there is such a job.
    pub(super) id: Option<Uuid>,
    pub(super) tenant_id: Option<Uuid>,
    pub(super) is_finished: Option<bool>,
    /// The state, if lists of that state have an index.
    pub(super) state: Option<&'static str>,
    /// True if completed jobs are left out, which an index serves.
    pub(super) skips_completed: bool,
    /// A word of finished jobs, if only jobs with that word match.
    pub(super) word: Option<String>,
    pub(super) parent_id: Option<Uuid>,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
    pub(super) after: (Option<DateTime<Utc>>, Option<Uuid>),
}

/// Returns true if lists of that state have an index.
fn has_index(state: JobState) -> bool {
    match state {
        JobState::Executing | JobState::Retryable | JobState::Suspended | JobState::Cancelled | JobState::Discarded => {
            true
        }
        JobState::Scheduled | JobState::Available | JobState::Completed => false,
    }
}

impl Scan {
    /// Prepares a filter. Returns `None` if the parent does not exist. Children are indexed by
    /// tenant and parent, so the parent's tenant is looked up if it is not given.
    pub(super) async fn of<S>(
        conn: &mut PgConnection,
        kinds: &[Kind<S>],
        filter: &JobFilter,
    ) -> Result<Option<Self>, sqlx::Error> {
        let tenant_id = match (filter.tenant_id, filter.parent_id) {
            (None, Some(parent)) => match get_job(conn, parent).await? {
                Some(parent) => Some(parent.tenant_id),
                None => return Ok(None),
            },
            (tenant_id, _) => tenant_id,
        };
        let id = match filter.text.as_deref().and_then(|text| text.parse().ok()) {
            Some(id) => get_job(conn, JobId(id)).await?.map(|_| id),
            None => None,
        };
        let word = if tenant_id.is_some() || id.is_some() { None } else { find_word(conn, kinds, filter).await? };
        Ok(Some(Self {
            id,
            tenant_id: tenant_id.map(|id| id.0),
            is_finished: filter.is_finished(),
            state: filter.state.filter(|&state| has_index(state)).map(JobState::name),
            skips_completed: filter.not_states.contains(&JobState::Completed),
            word,
            parent_id: filter.parent_id.map(|id| id.0),
            since: filter.since,
            until: filter.until,
            after: filter.after.unzip(),
        }))
    }
}

/// Returns a word that finished jobs must have to match the filter: its account, or the longest
/// word of its text. `None` if the text is part of a kind's name, which many jobs match.
async fn find_word<S>(
    conn: &mut PgConnection,
    kinds: &[Kind<S>],
    filter: &JobFilter,
) -> Result<Option<String>, sqlx::Error> {
    if let Some(account_id) = filter.account_id {
        return Ok(Some(account_id.to_string()));
    }
    let Some(text) = filter.searched_text() else { return Ok(None) };
    if kinds.iter().any(|kind| kind.name.contains(&text)) {
        return Ok(None);
    }
    let word = sqlx::query_scalar!(
        r#"
        select word as "word!"
        from job_words_of(to_jsonb($1::text), null, null) as word
        order by length(word) desc, word
        limit 1
        "#,
        text
    );
    word.fetch_optional(conn).await
}
