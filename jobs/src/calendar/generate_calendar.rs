//! Makes a month of posts: a plan first, then a job a post for its caption.

use std::{collections::BTreeSet, time::Duration};

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    WriteCaption,
    store::{self, CalendarRow, PlannedPost},
};
use crate::{
    engine::{Cause, Done, Job, JobContext, JobError, NewJob, Queue, Retry, Setback, Tx},
    ids::{CalendarId, TenantId},
    providers::ai::Question,
    tenants,
};

/// Posts go out at this hour (UTC) unless somebody schedules them otherwise: lunch is being decided on.
const POSTING_HOUR: u32 = 10;

/// Make the calendar `calendar_id`.
///
/// Safe to repeat: the plan becomes posts only while the calendar is `planning`; later attempts wait for the captions or
/// find the calendar made.
#[derive(Debug, Serialize, Deserialize)]
pub struct GenerateCalendar {
    /// The calendar.
    pub calendar_id: CalendarId,
}

impl Job for GenerateCalendar {
    const KIND: &'static str = "generate_calendar";
    const QUEUE: Queue = Queue::Ai;
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(150);

    fn unique_key(&self) -> Option<String> {
        Some(self.calendar_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        store::mark_planning(&mut tx, cx.tenant_id(), self.calendar_id).await?;
        let calendar = store::get(&mut tx, self.calendar_id).await?;
        let tenant = tenants::store::get(&mut tx, cx.tenant_id()).await?;
        tx.commit().await?;
        let (Some(calendar), Some(tenant)) = (calendar, tenant) else {
            return Ok(Done::nothing("the calendar was deleted"));
        };
        match calendar.state.as_str() {
            "planning" => plan(cx, &calendar, &tenant.name).await,
            "writing" => finish(cx, &calendar).await,
            _ => Ok(Done::nothing("the calendar is made")),
        }
    }

    async fn on_setback(&self, tenant_id: TenantId, tx: &mut Tx, setback: &Setback) -> Result<(), sqlx::Error> {
        match setback {
            Setback::Discarded(facts) => store::mark_failed(tx, tenant_id, self.calendar_id, &facts.message).await,
            Setback::Cancelled => store::mark_failed(tx, tenant_id, self.calendar_id, "cancelled").await,
            Setback::Again(_) | Setback::Reconciling(_) | Setback::Parked(_) => Ok(()),
        }
    }
}

async fn plan(cx: &JobContext, calendar: &CalendarRow, business: &str) -> Result<Done, JobError> {
    let answer: Plan = cx.services().ai.ask(question(calendar, business)).await?;
    let plan = check(answer, calendar)?;
    let mut tx = cx.begin().await?;
    let Some(posts) = store::mark_planned(&mut tx, cx.tenant_id(), calendar.id, &plan).await? else {
        return Ok(Done::nothing("planned by another attempt"));
    };
    let captions = posts
        .into_iter()
        .map(|post_id| NewJob::new(cx.tenant_id(), &WriteCaption { post_id }).child_of(cx.attempt()))
        .collect();
    tx.enqueue_all(captions).await?;
    tx.wait_for_children().await
}

async fn finish(cx: &JobContext, calendar: &CalendarRow) -> Result<Done, JobError> {
    let mut tx = cx.begin().await?;
    let missing = store::mark_written(&mut tx, cx.tenant_id(), calendar.id).await?;
    tx.complete(json!({ "posts": calendar.post_count, "captions_missing": missing })).await
}

#[derive(Debug, Deserialize)]
struct Plan {
    posts: Vec<PlanEntry>,
}

#[derive(Debug, Deserialize)]
struct PlanEntry {
    date: NaiveDate,
    topic: String,
}

fn question(calendar: &CalendarRow, business: &str) -> Question {
    let month = calendar.month.format("%Y-%m");
    Question {
        name: "content_calendar",
        schema: json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["posts"],
            "properties": { "posts": { "type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["date", "topic"],
                "properties": {
                    "date": { "type": "string", "description": "YYYY-MM-DD, within the month" },
                    "topic": { "type": "string", "description": "what the post is about, in a few words" }
                }
            }}}
        }),
        system: "You plan social media for a restaurant. Topics are concrete, varied and fit the date.",
        user: format!(
            "Plan exactly {} posts, no two on one day while days are left.\nmonth: {month}\nbusiness: {business}\nbrief: {}",
            calendar.post_count, calendar.brief
        ),
    }
}

/// What a schema cannot say: the number of posts, and that the dates lie in the month.
fn check(plan: Plan, calendar: &CalendarRow) -> Result<Vec<PlannedPost>, JobError> {
    let wrong = |what: String| JobError::Retry(Cause::plain("unusable", format!("The plan cannot be used: {what}.")));
    if i32::try_from(plan.posts.len()) != Ok(calendar.post_count) {
        return Err(wrong(format!("{} posts instead of {}", plan.posts.len(), calendar.post_count)));
    }
    let in_month = |date: &NaiveDate| date.year() == calendar.month.year() && date.month() == calendar.month.month();
    if let Some(entry) = plan.posts.iter().find(|entry| !in_month(&entry.date)) {
        return Err(wrong(format!("{} is not in the month", entry.date)));
    }
    if let Some(entry) = plan.posts.iter().find(|entry| entry.topic.trim().is_empty()) {
        return Err(wrong(format!("the post of {} has no topic", entry.date)));
    }
    let posts: BTreeSet<(NaiveDate, String)> =
        plan.posts.into_iter().map(|entry| (entry.date, entry.topic.trim().to_owned())).collect();
    let hour = NaiveTime::from_hms_opt(POSTING_HOUR, 0, 0).unwrap_or_default();
    if i32::try_from(posts.len()) != Ok(calendar.post_count) {
        return Err(wrong("the same post twice on one day".to_owned()));
    }
    Ok(posts
        .into_iter()
        .map(|(date, topic)| PlannedPost { planned_at: Utc.from_utc_datetime(&date.and_time(hour)), topic })
        .collect())
}
