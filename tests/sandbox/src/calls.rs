//! The requests to a world: a count by operation, and the most recent requests.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::operation::Operation;

const RECENT_CALLS: usize = 200;

/// One request to a provider. The path has no query, hence no secret.
#[derive(Debug, Serialize)]
pub(crate) struct CallRecord {
    seq: u64,
    at: DateTime<Utc>,
    method: String,
    path: String,
    operation: Operation,
    /// The status; `null` while the call is in progress and if its connection was cut.
    status: Option<u16>,
}

/// The calls of one world.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Calls {
    total: u64,
    /// The number of calls in progress.
    under_way: usize,
    counts: BTreeMap<Operation, u64>,
    #[serde(skip)]
    at_once: BTreeMap<Operation, usize>,
    /// The most calls of an operation that were in progress at once.
    most_at_once: BTreeMap<Operation, usize>,
    recent: VecDeque<CallRecord>,
}

impl Calls {
    /// Counts a call and returns its number.
    pub(crate) fn begin(&mut self, at: DateTime<Utc>, operation: Operation, method: &str, path: &str) -> u64 {
        self.total += 1;
        self.under_way += 1;
        *self.counts.entry(operation).or_default() += 1;
        let at_once = self.at_once.entry(operation).or_default();
        *at_once += 1;
        let most = self.most_at_once.entry(operation).or_default();
        *most = (*most).max(*at_once);
        if self.recent.len() == RECENT_CALLS {
            self.recent.pop_front();
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        self.recent.push_back(CallRecord { seq: self.total, at, method, path, operation, status: None });
        self.total
    }

    /// Records the status of the response.
    pub(crate) fn finish(&mut self, operation: Operation, seq: u64, status: Option<u16>) {
        self.under_way -= 1;
        self.at_once.entry(operation).and_modify(|at_once| *at_once -= 1);
        if let Some(call) = self.recent.iter_mut().rev().find(|call| call.seq == seq) {
            call.status = status;
        }
    }
}
