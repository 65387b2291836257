//! The API's responses, as far as the demo reads them.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// A list that fits on one page.
#[derive(Debug, Deserialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
}

/// A created object, of which only the id matters.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: Uuid,
}

/// The address where a browser connects an account.
#[derive(Debug, Deserialize)]
pub(crate) struct Connect {
    pub(crate) url: String,
}

/// A connected account.
#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) remote_id: String,
    pub(crate) status: String,
}

/// An uploaded picture.
#[derive(Debug, Deserialize)]
pub(crate) struct Asset {
    pub(crate) id: Uuid,
    pub(crate) size_bytes: u64,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
}

/// A picture that a job renders.
#[derive(Debug, Deserialize)]
pub(crate) struct Rendering {
    pub(crate) job_id: Uuid,
    pub(crate) asset_id: Uuid,
}

/// A calendar.
#[derive(Debug, Deserialize)]
pub(crate) struct Calendar {
    pub(crate) id: Uuid,
    pub(crate) state: String,
    pub(crate) job_id: Option<Uuid>,
    pub(crate) posts: Vec<Post>,
}

/// A post.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Post {
    pub(crate) id: Uuid,
    pub(crate) caption: Option<String>,
    pub(crate) planned_at: Option<DateTime<Utc>>,
    pub(crate) deliveries: Vec<Delivery>,
}

impl Post {
    /// Returns its text; empty until it is written.
    pub(crate) fn text(&self) -> &str {
        self.caption.as_deref().unwrap_or_default()
    }

    /// Returns the day it is planned for: `2026-12-03`.
    pub(crate) fn day(&self) -> String {
        self.planned_at.map(|time| time.format("%Y-%m-%d").to_string()).unwrap_or_default()
    }
}

/// A post on an account.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) state: String,
    pub(crate) scheduled_at: DateTime<Utc>,
    pub(crate) remote_id: Option<String>,
}

/// The ids of the scheduled jobs.
#[derive(Debug, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) job_ids: Vec<Uuid>,
}

/// A job. Its attempts are present if it was requested by its id.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) suspended_on: Option<String>,
    pub(crate) crashes: u32,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<Value>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

impl Job {
    /// Returns the end of its id: ids begin with the time, so their ends tell them apart.
    pub(crate) fn short_id(&self) -> String {
        self.id.simple().to_string().split_off(24)
    }

    /// Returns the milliseconds from its creation to its end.
    pub(crate) fn took_ms(&self) -> i64 {
        self.ended_at.map_or(0, |ended| (ended - self.created_at).num_milliseconds())
    }

    /// Returns true if the job is in a final state.
    pub(crate) fn has_ended(&self) -> bool {
        ["completed", "discarded", "cancelled"].contains(&self.state.as_str())
    }

    /// Returns its state, with the reason it waits.
    pub(crate) fn standing(&self) -> String {
        match &self.suspended_on {
            Some(on) => format!("{} on {on}", self.state),
            None => self.state.clone(),
        }
    }

    /// Returns true if it completed by finding an earlier attempt's result at the provider.
    pub(crate) fn was_read_back(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result["read_back"] == true)
    }

    /// Returns the last failure in words.
    pub(crate) fn why(&self) -> &str {
        self.error.as_ref().and_then(|error| error["message"].as_str()).unwrap_or("no reason given")
    }
}
