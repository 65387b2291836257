//! The planned faults: each names the calls of an operation that fail, and the failure.

use std::collections::BTreeMap;

use poem::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operation::Operation;
use crate::usage::Usage;

/// The delay of the `slow` scenario without `delay_ms`.
const SLOW_MS: u64 = 30_000;

/// The placeholder for the credentials of the call.
const CREDENTIALS: &str = "{credentials}";

/// A fault as a test plans it.
///
/// ```json
/// {"operation": "publish_photo", "nth": 2, "drop": "after"}
/// ```
///
/// In the body and the message of a response, `{credentials}` is replaced by the credentials of the
/// call, as careless providers repeat them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) operation: Operation,
    /// Counts only calls about this Page and its posts.
    pub(crate) page_id: Option<String>,
    /// Counts only calls with this text in their query or body.
    pub(crate) containing: Option<String>,
    /// The first call that fails; 1 is the next one.
    #[serde(default = "one")]
    nth: u64,
    /// The number of calls in a row that fail.
    #[serde(default = "one")]
    times: u64,
    /// The status of the response.
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body of the response: a string as it is, anything else as JSON.
    body: Option<Value>,
    /// The body of the response as Graph's error envelope.
    graph_error: Option<GraphFault>,
    /// The delay before the call is handled.
    pub(crate) delay_ms: Option<u64>,
    /// The delay between the handling of the call and the response.
    pub(crate) reply_delay_ms: Option<u64>,
    /// Closes the connection without a response.
    pub(crate) drop: Option<Drop>,
    /// The rate limit headers, added to the real or the planned response.
    pub(crate) usage: Option<Usage>,
    /// Lets the call have its effect before the response with `status`.
    #[serde(default)]
    pub(crate) after_effect: bool,
    /// Closes the connection after so many bytes of the body.
    pub(crate) truncate_body: Option<usize>,
    /// The scenario of a chat completion.
    pub(crate) scenario: Option<Scenario>,
}

/// The moment when a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drop {
    /// Cuts before the call has an effect.
    Before,
    /// Cuts after the effect was recorded.
    After,
}

/// An error of Graph by its numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphFault {
    pub(crate) code: u32,
    pub(crate) subcode: Option<u32>,
    pub(crate) message: Option<String>,
    /// The `is_transient` of the error; by default it is true for code 2 alone.
    pub(crate) is_transient: Option<bool>,
    /// Lets the call have its effect, and puts its result into the error, as Graph does if the read
    /// after the write failed. A call without an effect gets its ordinary response.
    #[serde(default)]
    pub(crate) original_response: bool,
}

/// The kinds of bad chat completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// The model refuses.
    Refusal,
    /// The text breaks off because the token limit is reached.
    Truncated,
    /// The text ends because of the content filter.
    ContentFilter,
    /// The JSON stands inside other text.
    InvalidJson,
    /// The response is a 429 that passes after the seconds in `Retry-After`.
    RateLimited,
    /// The response is a 429 that only a person can resolve.
    InsufficientQuota,
    /// The response is a 500.
    ServerError,
    /// The response is good but takes long.
    Slow,
    /// The outer list has one item too few.
    WrongCount,
    /// The captions are far longer than any network accepts.
    LongCaption,
    /// Each caption has thirty-one hashtags.
    ManyHashtags,
    /// The texts of the response have NUL and lone surrogates.
    UnstorableText,
}

/// The response that a fault puts in place of the real one.
#[derive(Debug, Clone)]
pub(crate) struct CannedAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: CannedBody,
}

/// The body of a planned response.
#[derive(Debug, Clone)]
pub(crate) enum CannedBody {
    Text(String),
    Json(Value),
    Graph(GraphFault),
}

impl CannedAnswer {
    /// Returns the response with `credentials` in place of the placeholder.
    pub(crate) fn quoting(mut self, credentials: &str) -> Self {
        match &mut self.body {
            CannedBody::Text(text) => *text = text.replace(CREDENTIALS, credentials),
            CannedBody::Json(json) => quote(json, credentials),
            CannedBody::Graph(GraphFault { message: Some(message), .. }) => {
                *message = message.replace(CREDENTIALS, credentials);
            }
            CannedBody::Graph(_) => {}
        }
        self
    }
}

fn quote(json: &mut Value, credentials: &str) {
    match json {
        Value::String(text) => *text = text.replace(CREDENTIALS, credentials),
        Value::Array(items) => items.iter_mut().for_each(|item| quote(item, credentials)),
        Value::Object(members) => members.values_mut().for_each(|member| quote(member, credentials)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Fault {
    /// Checks that the fault makes sense, and returns it with its defaults filled in.
    ///
    /// # Errors
    /// Returns a sentence for the author of the test.
    pub(crate) fn check(mut self) -> Result<Self, &'static str> {
        let answers = self.status.is_some() || self.graph_error.is_some();
        let effective = answers || self.drop.is_some() || self.truncate_body.is_some() || self.scenario.is_some();
        let delays = self.delay_ms.is_some() || self.reply_delay_ms.is_some();
        if !effective && !delays && self.usage.is_none() && self.headers.is_empty() {
            return Err("the fault does nothing");
        }
        if self.nth == 0 || self.times == 0 {
            return Err("nth and times count from 1");
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status is not that of a final answer");
        }
        if self.body.is_some() && (self.status.is_none() || self.graph_error.is_some()) {
            return Err("body goes with status, and without graph_error");
        }
        if self.after_effect && !answers {
            return Err("after_effect goes with status or graph_error");
        }
        self.after_effect |= self.has_original_response();
        let has_headers = self.usage.is_some() || !self.headers.is_empty();
        if self.drop.is_some() && (answers || has_headers || self.truncate_body.is_some()) {
            return Err("a dropped connection has no answer");
        }
        if self.scenario.is_some() && self.operation != Operation::ChatCompletion {
            return Err("a scenario goes with chat_completion");
        }
        if self.scenario == Some(Scenario::Slow) {
            self.delay_ms.get_or_insert(SLOW_MS);
        }
        self.headers().map(|_| self)
    }

    /// Returns the response that replaces the real one, if the fault has one.
    pub(crate) fn answer(&self) -> Option<CannedAnswer> {
        let default = if self.graph_error.is_some() { Some(400) } else { None };
        let status = StatusCode::from_u16(self.status.or(default)?).ok()?;
        let body = match (&self.graph_error, &self.body) {
            (Some(error), _) => CannedBody::Graph(error.clone()),
            (None, Some(Value::String(text))) => CannedBody::Text(text.clone()),
            (None, Some(json)) => CannedBody::Json(json.clone()),
            (None, None) => CannedBody::Text(String::new()),
        };
        Some(CannedAnswer { status, body })
    }

    /// Returns true if the error carries the call's real response.
    pub(crate) fn has_original_response(&self) -> bool {
        self.graph_error.as_ref().is_some_and(|error| error.original_response)
    }

    /// Returns the headers that the fault adds to the response.
    pub(crate) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, &'static str> {
        let parse = |(name, value): (&String, &String)| Some((name.parse().ok()?, value.parse().ok()?));
        self.headers.iter().map(parse).collect::<Option<_>>().ok_or("headers has a bad name or value")
    }
}

/// A planned fault with its counts.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedFault {
    #[serde(flatten)]
    fault: Fault,
    /// The matching calls since the fault was planned.
    seen: u64,
    /// The calls that failed by this fault.
    hit: u64,
}

/// The faults of one world.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    planned: Vec<PlannedFault>,
}

impl FaultPlan {
    /// Adds a fault. Its calls count from now.
    pub(crate) fn plan(&mut self, fault: Fault) {
        self.planned.push(PlannedFault { fault, seen: 0, hit: 0 });
    }

    /// Counts a call, and returns the fault that applies to it: the earliest planned one of those
    /// that are due.
    ///
    /// `concerns` returns true if the call matches a fault.
    pub(crate) fn take(&mut self, operation: Operation, concerns: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut due = None;
        let concerned = |planned: &&mut PlannedFault| planned.fault.operation == operation && concerns(&planned.fault);
        for planned in self.planned.iter_mut().filter(concerned) {
            planned.seen += 1;
            let last = planned.fault.nth.saturating_add(planned.fault.times - 1);
            if due.is_none() && (planned.fault.nth..=last).contains(&planned.seen) {
                planned.hit += 1;
                due = Some(planned.fault.clone());
            }
        }
        due
    }

    /// Returns every planned fault, spent ones included.
    pub(crate) fn all(&self) -> &[PlannedFault] {
        &self.planned
    }

    /// Removes all faults.
    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }
}

fn one() -> u64 {
    1
}
