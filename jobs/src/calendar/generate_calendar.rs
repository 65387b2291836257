//! Makes a month of posts: plans them first, then enqueues one job per post for its caption.

use std::{collections::BTreeSet, time::Duration};

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    WriteCaption, reserve,
    store::{self, CalendarRow, CalendarState, PlannedPost},
};
use crate::{
    engine::{Cause, CauseClass, Done, Job, JobContext, JobError, NewJob, NotCompleted, OnFailed, Queue, Retry, Tx},
    ids::{CalendarId, TenantId},
    providers::ai::Question,
    queues, service_keys,
    services::Services,
    tenants,
};

/// The hour (UTC) at which posts are published unless somebody schedules them otherwise. People
/// decide on lunch then.
const POSTING_HOUR: u32 = 10;

/// Makes the calendar `calendar_id`.
///
/// Safe to repeat: the plan becomes posts only while the calendar is `planning`. Later attempts
/// wait for the captions, or find the calendar made.
#[derive(Debug, Serialize, Deserialize)]
pub struct GenerateCalendar {
    /// The calendar.
    pub calendar_id: CalendarId,
}

impl Job for GenerateCalendar {
    type Services = Services;

    const KIND: &'static str = "generate_calendar";
    const QUEUE: Queue = queues::AI;
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(150);
    const PERMISSION: Option<&'static str> = Some("calendars:write");

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
        match calendar.state {
            CalendarState::Planning => plan(cx, &calendar, &tenant.name).await,
            CalendarState::Writing => finish(cx, &calendar).await,
            CalendarState::Ready | CalendarState::Failed => Ok(Done::nothing("the calendar is made")),
        }
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(facts) => {
                store::mark_failed(tx, tenant_id, self.calendar_id, &facts.message).await?;
            }
            NotCompleted::Cancelled => store::mark_failed(tx, tenant_id, self.calendar_id, "cancelled").await?,
            NotCompleted::Again(_)
            | NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::BroughtBack => return Ok(()),
        }
        reserve::give_back(tx, tenant_id, self.calendar_id, i32::MAX).await
    }
}

async fn plan(cx: &JobContext, calendar: &CalendarRow, business: &str) -> Result<Done, JobError> {
    let plans = &cx.services().plans;
    let mut tx = cx.begin().await?;
    reserve::reserve_again(&mut tx, plans, cx.tenant_id(), calendar.id, calendar.post_count.saturating_add(1)).await?;
    tx.commit().await?;
    let answer: Suggestions = service_keys::ask(cx, question(calendar, business)).await?;
    let plan = check(answer, calendar)?;
    let mut tx = cx.begin().await?;
    let Some(posts) = store::mark_planned(&mut tx, cx.tenant_id(), calendar.id, &plan).await? else {
        return Ok(Done::nothing("planned by another attempt"));
    };
    reserve::use_one(&mut tx, plans, cx.tenant_id(), calendar.id).await?;
    let captions = posts
        .into_iter()
        .map(|post_id| NewJob::new(cx.tenant_id(), &WriteCaption { post_id }).child_of(cx.attempt()))
        .collect();
    tx.enqueue_all(captions).await?;
    cx.progress(0, plan.len() as u64, "planned, the captions are being written");
    tx.wait_for_children(OnFailed::GoOn).await
}

async fn finish(cx: &JobContext, calendar: &CalendarRow) -> Result<Done, JobError> {
    let mut tx = cx.begin().await?;
    let missing = store::mark_written(&mut tx, cx.tenant_id(), calendar.id).await?;
    let posts = u64::try_from(calendar.post_count).unwrap_or(0);
    cx.progress(posts.saturating_sub(missing.unsigned_abs()), posts, "captions written");
    tx.complete(json!({ "posts": calendar.post_count, "captions_missing": missing })).await
}

#[derive(Debug, Deserialize)]
struct Suggestions {
    posts: Vec<Suggestion>,
}

#[derive(Debug, Deserialize)]
struct Suggestion {
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

/// Checks the rules that a schema cannot express: the number of posts, and dates within the month.
fn check(plan: Suggestions, calendar: &CalendarRow) -> Result<Vec<PlannedPost>, JobError> {
    let wrong =
        |what: String| JobError::Retry(Cause::plain(CauseClass::Unusable, format!("The plan cannot be used: {what}.")));
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

#[cfg(test)]
mod tests {
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{
        engine::{JobState, events},
        ids::JobId,
        posts,
        testing::Bench,
    };

    async fn calendar(bench: &Bench, posts: i32) -> (CalendarId, JobId) {
        let month = NaiveDate::from_ymd_opt(2027, 2, 1).unwrap();
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let id = store::insert(&mut tx, bench.tenant_id, month, "Valentine", posts).await.unwrap();
        tx.commit().await.unwrap();
        (id, bench.enqueue(&GenerateCalendar { calendar_id: id }).await)
    }

    async fn read(bench: &Bench, id: CalendarId) -> (CalendarRow, Vec<posts::store::PostRow>) {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let posts = posts::store::list_by_calendar(&mut tx, bench.tenant_id, id).await.unwrap();
        (store::get(&mut tx, id).await.unwrap().unwrap(), posts)
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(GenerateCalendar { calendar_id: CalendarId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "calendar_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_month_is_planned_and_written(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let (id, job) = calendar(&bench, 8).await;
        bench.drain().await;
        let (calendar, posts) = read(&bench, id).await;
        assert_eq!((calendar.state, bench.job(job).await.state), (CalendarState::Ready, JobState::Completed));
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let said = events::list_events(&mut tx, bench.tenant_id, job, 0, 10).await.unwrap();
        let said: Vec<_> = said.iter().map(|event| (event.done, event.total)).collect();
        assert_eq!(said, [(Some(0), Some(8)), (Some(8), Some(8))]);
        assert_eq!(posts.len(), 8);
        for post in &posts {
            assert!(post.caption.as_ref().is_some_and(|caption| caption.contains("Krusty Pizza")));
            assert_eq!(post.planned_at.unwrap().format("%Y-%m %H").to_string(), "2027-02 10");
        }
        assert!(posts.windows(2).all(|pair| pair[0].planned_at <= pair[1].planned_at));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_month_is_planned_once_however_often_it_runs(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let (id, _) = calendar(&bench, 3).await;
        bench.drain().await;
        let job = bench.enqueue(&GenerateCalendar { calendar_id: id }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.result.unwrap()["nothing"], "the calendar is made");
        assert_eq!(bench.sandbox.calls("chat_completion").await, 4);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_calendar_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&GenerateCalendar { calendar_id: CalendarId::new() }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_busy_model_puts_it_off_and_a_wrong_plan_is_asked_for_again(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.fault("chat_completion", json!({ "scenario": "rate_limited" })).await;
        let (id, job) = calendar(&bench, 3).await;
        bench.drain().await;
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Scheduled, 0));
        bench.sandbox.fault("chat_completion", json!({ "scenario": "wrong_count" })).await;
        bench.drain_after(Duration::from_secs(31)).await;
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Retryable, 1));
        bench.drain_after(Duration::from_secs(2)).await;
        assert_eq!(read(&bench, id).await.0.state, CalendarState::Ready);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_refusal_fails_the_calendar_and_a_retry_makes_it(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.fault("chat_completion", json!({ "scenario": "refusal" })).await;
        let (id, job) = calendar(&bench, 3).await;
        bench.drain().await;
        let (calendar, _) = read(&bench, id).await;
        assert_eq!((calendar.state, bench.job(job).await.state), (CalendarState::Failed, JobState::Discarded));
        assert!(calendar.error.unwrap().contains("change the brief"));
        bench.retry(job).await;
        bench.drain().await;
        assert_eq!(read(&bench, id).await.0.state, CalendarState::Ready);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_caption_that_cannot_be_written_fails_the_calendar_until_it_is(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.fault("chat_completion", json!({ "scenario": "refusal", "nth": 2 })).await;
        let (id, job) = calendar(&bench, 3).await;
        bench.drain().await;
        let (calendar, posts) = read(&bench, id).await;
        assert_eq!((calendar.state, bench.job(job).await.state), (CalendarState::Failed, JobState::Completed));
        assert!(calendar.error.unwrap().starts_with("1 captions"));
        let missing = posts.iter().find(|post| post.caption.is_none()).unwrap().id;
        bench.enqueue(&WriteCaption { post_id: missing }).await;
        bench.drain().await;
        assert_eq!(read(&bench, id).await.0.state, CalendarState::Ready);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn without_a_language_model_it_waits_and_names_the_setting(pool: PgPool) {
        let mut bench = Bench::new(pool).await;
        let configured = bench.engine.services.clone();
        let mut config = bench.sandbox.services_config();
        config.ai.openai_api_key = None;
        bench.engine.services = Services::new(&config).unwrap();
        let (id, job) = calendar(&bench, 3).await;
        bench.drain().await;
        let row = bench.job(job).await;
        assert_eq!((row.state, row.failures), (JobState::Scheduled, 0));
        assert!(row.error.unwrap()["message"].as_str().unwrap().contains("OPENAI_API_KEY"));
        bench.engine.services = configured;
        bench.drain_after(Duration::from_mins(16)).await;
        assert_eq!(read(&bench, id).await.0.state, CalendarState::Ready);
    }
}
