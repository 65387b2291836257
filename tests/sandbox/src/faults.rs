//! The faults a test planned: which call of which operation goes wrong, and how.

use std::collections::BTreeMap;

use poem::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operation::Operation;
use crate::usage::Usage;

/// How long the `slow` scenario takes when `delay_ms` does not say.
const SLOW_MS: u64 = 30_000;

/// What stands for what a call came with.
const CREDENTIALS: &str = "{credentials}";

/// A fault as a test plans it.
///
/// ```json
/// {"operation": "publish_photo", "nth": 2, "drop": "after"}
/// ```
///
/// In the body and in the message of an answer, `{credentials}` stands for what the call came with, as careless providers
/// repeat it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) operation: Operation,
    /// Only calls about this Page and its posts count.
    pub(crate) page_id: Option<String>,
    /// Only calls with this text in their query or body count.
    pub(crate) containing: Option<String>,
    /// The first call that is hit; 1 is the next one.
    #[serde(default = "one")]
    nth: u64,
    /// How many calls in a row are hit.
    #[serde(default = "one")]
    times: u64,
    /// The status to answer with.
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body to answer with: a text as it is, anything else as JSON.
    body: Option<Value>,
    /// The body as Graph's error envelope.
    graph_error: Option<GraphFault>,
    /// The wait before the call is handled.
    pub(crate) delay_ms: Option<u64>,
    /// The wait after the call was handled and before it is answered.
    pub(crate) reply_delay_ms: Option<u64>,
    /// The connection closes without a reply.
    pub(crate) drop: Option<Drop>,
    /// Headers about rate limits, on whatever the answer is.
    pub(crate) usage: Option<Usage>,
    /// The call has its effect before it is answered with `status`.
    #[serde(default)]
    pub(crate) after_effect: bool,
    /// The connection closes after so many bytes of the body.
    pub(crate) truncate_body: Option<usize>,
    /// What becomes of a chat completion.
    pub(crate) scenario: Option<Scenario>,
}

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drop {
    /// Before the call has an effect.
    Before,
    /// After the effect was recorded.
    After,
}

/// An error of Graph by its numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphFault {
    pub(crate) code: u32,
    pub(crate) subcode: Option<u32>,
    pub(crate) message: Option<String>,
    /// Whether the error says that it passes; if left out, code 2 alone does.
    pub(crate) is_transient: Option<bool>,
    /// The call has its effect, and the error carries its result: the read after the write has failed. A call that has no
    /// effect is answered as without the fault.
    #[serde(default)]
    pub(crate) original_response: bool,
}

/// What becomes of a chat completion instead of a good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// The model refuses.
    Refusal,
    /// The answer ends in the middle because the token limit is reached.
    Truncated,
    /// The answer ends because of the content filter.
    ContentFilter,
    /// The answer is text around the JSON.
    InvalidJson,
    /// 429 that passes after the seconds in `Retry-After`.
    RateLimited,
    /// 429 that a person has to deal with.
    InsufficientQuota,
    /// 500.
    ServerError,
    /// A good answer after a long while.
    Slow,
    /// One item too few in the outer list.
    WrongCount,
    /// Captions far longer than any network takes.
    LongCaption,
    /// Thirty-one hashtags in each caption.
    ManyHashtags,
}

/// The answer that a fault puts in place of the real one.
#[derive(Debug, Clone)]
pub(crate) struct CannedAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: CannedBody,
}

/// The body of such an answer.
#[derive(Debug, Clone)]
pub(crate) enum CannedBody {
    Text(String),
    Json(Value),
    Graph(GraphFault),
}

impl CannedAnswer {
    /// The answer with `credentials` where it has a place for them.
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
    /// Checks that the fault makes sense, and returns it complete.
    ///
    /// # Errors
    /// A sentence for the author of the test.
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

    /// The answer that replaces the real one, if the fault has one.
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

    /// Whether the error carries what the call was answered with.
    pub(crate) fn has_original_response(&self) -> bool {
        self.graph_error.as_ref().is_some_and(|error| error.original_response)
    }

    /// The headers that the answer gets.
    ///
    /// # Errors
    /// One is not well formed.
    pub(crate) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, &'static str> {
        let parse = |(name, value): (&String, &String)| Some((name.parse().ok()?, value.parse().ok()?));
        self.headers.iter().map(parse).collect::<Option<_>>().ok_or("headers has a bad name or value")
    }
}

/// A planned fault with what it has seen so far.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedFault {
    #[serde(flatten)]
    fault: Fault,
    /// Calls that the fault is for since it was planned.
    seen: u64,
    /// Calls that the fault hit.
    hit: u64,
}

/// The faults of one world.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    planned: Vec<PlannedFault>,
}

impl FaultPlan {
    /// Adds a fault; its calls count from now.
    pub(crate) fn plan(&mut self, fault: Fault) {
        self.planned.push(PlannedFault { fault, seen: 0, hit: 0 });
    }

    /// Counts a call, and returns the fault that hits it: the earliest planned one of those that are due.
    ///
    /// `concerns` says whether the call is one of those that a fault is for.
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

    /// Every planned fault, spent ones included.
    pub(crate) fn all(&self) -> &[PlannedFault] {
        &self.planned
    }

    /// Forgets all faults.
    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }
}

fn one() -> u64 {
    1
}
