//! Writes the caption of one post of a calendar.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    reserve,
    store::{self, CaptionBrief},
};
use crate::{
    engine::{Cause, CauseClass, Done, Job, JobContext, JobError, NotCompleted, Queue, Retry, Tx},
    ids::{PostId, TenantId},
    providers::ai::Question,
    queues, service_keys,
    services::Services,
};

/// The longest caption that every network accepts. Source: Instagram content publishing, caption <=
/// 2200 characters.
const MAX_CAPTION_CHARS: usize = 2200;

/// Writes the caption of the post `post_id`.
///
/// Safe to repeat: a caption is stored only if there is none. A second response of the model is
/// dropped.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteCaption {
    /// The post.
    pub post_id: PostId,
}

impl Job for WriteCaption {
    type Services = Services;

    const KIND: &'static str = "write_caption";
    const QUEUE: Queue = queues::AI;
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(150);
    const PERMISSION: Option<&'static str> = Some("posts:write");

    fn unique_key(&self) -> Option<String> {
        Some(self.post_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        let brief = store::get_caption_brief(&mut tx, cx.tenant_id(), self.post_id).await?;
        drop(tx);
        let Some(brief) = brief else {
            return Ok(Done::nothing("the post was deleted"));
        };
        if brief.caption.is_some() {
            return Ok(Done::nothing("the caption is written"));
        }
        let plans = &cx.services().plans;
        let mut tx = cx.begin().await?;
        if let Some(calendar_id) = reserve::calendar_of(&mut tx, cx.tenant_id(), self.post_id).await? {
            reserve::reserve_again(&mut tx, plans, cx.tenant_id(), calendar_id, 1).await?;
        }
        tx.commit().await?;
        let answer: Answer = service_keys::ask(cx, question(&brief)).await?;
        let caption = check(&answer.caption)?;
        let mut tx = cx.begin().await?;
        let is_written = store::mark_captioned(&mut tx, cx.tenant_id(), self.post_id, caption).await?;
        store::mark_ready_at_last(&mut tx, cx.tenant_id(), self.post_id).await?;
        if is_written && let Some(calendar_id) = reserve::calendar_of(&mut tx, cx.tenant_id(), self.post_id).await? {
            reserve::use_one(&mut tx, plans, cx.tenant_id(), calendar_id).await?;
        }
        tx.complete(json!({ "characters": caption.chars().count() })).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(_) | NotCompleted::Cancelled => {}
            NotCompleted::Again(_)
            | NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::BroughtBack => return Ok(()),
        }
        match reserve::calendar_of(tx, tenant_id, self.post_id).await? {
            Some(calendar_id) => reserve::give_back(tx, tenant_id, calendar_id, 1).await,
            None => Ok(()),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    caption: String,
}

fn question(brief: &CaptionBrief) -> Question {
    Question {
        name: "caption",
        schema: json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["caption"],
            "properties": { "caption": { "type": "string" } }
        }),
        system: "You write captions for a restaurant's social media: two or three sentences, then three hashtags.",
        user: format!("business: {}\ntopic: {}\nbrief: {}", brief.business, brief.topic, brief.brief),
    }
}

fn check(caption: &str) -> Result<&str, JobError> {
    let caption = caption.trim();
    let length = caption.chars().count();
    if (1..=MAX_CAPTION_CHARS).contains(&length) {
        return Ok(caption);
    }
    let words =
        format!("The caption has {length} characters instead of 1 to {MAX_CAPTION_CHARS}; it is written again.");
    Err(JobError::Retry(Cause::plain(CauseClass::Unusable, words)))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{
        calendar::store::PlannedPost,
        engine::JobState,
        ids::{CalendarId, JobId},
        testing::Bench,
    };

    async fn planned(bench: &Bench) -> (PostId, JobId) {
        let month = NaiveDate::from_ymd_opt(2027, 2, 1).unwrap();
        let plan = PlannedPost { planned_at: DateTime::UNIX_EPOCH, topic: "pizza".to_owned() };
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let id: CalendarId = store::insert(&mut tx, bench.tenant_id, month, "brief", 1).await.unwrap();
        let posts = store::mark_planned(&mut tx, bench.tenant_id, id, &[plan]).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        (posts[0], bench.enqueue(&WriteCaption { post_id: posts[0] }).await)
    }

    async fn caption(bench: &Bench, id: PostId) -> Option<String> {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        store::get_caption_brief(&mut tx, bench.tenant_id, id).await.unwrap().unwrap().caption
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(WriteCaption { post_id: PostId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "post_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[test]
    fn captions_are_trimmed_and_have_a_length() {
        assert_eq!(check("  Hello  ").unwrap(), "Hello");
        assert!(check(" ").is_err());
        assert!(check(&"é".repeat(2201)).is_err() && check(&"é".repeat(2200)).is_ok());
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_caption_is_written_once(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let (post, _) = planned(&bench).await;
        bench.drain().await;
        let written = caption(&bench, post).await;
        assert!(written.is_some());
        bench.enqueue(&WriteCaption { post_id: post }).await;
        bench.drain().await;
        assert_eq!(caption(&bench, post).await, written);
        assert_eq!(bench.sandbox.calls("chat_completion").await, 1);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_post_that_is_gone_is_nothing_to_do(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let job = bench.enqueue(&WriteCaption { post_id: PostId::new() }).await;
        bench.drain().await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn answers_that_cannot_be_used_are_asked_for_again(pool: PgPool) {
        let bench = Bench::new(pool).await;
        for (nth, scenario) in ["truncated", "invalid_json", "long_caption", "server_error"].iter().enumerate() {
            bench.sandbox.fault("chat_completion", json!({ "scenario": scenario, "nth": nth + 1 })).await;
        }
        let (post, job) = planned(&bench).await;
        bench.drain().await;
        for wait_seconds in [2, 7, 26, 76] {
            assert_eq!(bench.job(job).await.state, JobState::Retryable);
            bench.drain_after(Duration::from_secs(wait_seconds)).await;
        }
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Completed, 4));
        assert!(caption(&bench, post).await.is_some());
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_text_that_cannot_be_stored_is_mended_and_not_asked_for_again(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.fault("chat_completion", json!({ "scenario": "unstorable_text" })).await;
        let (post, job) = planned(&bench).await;
        bench.drain().await;
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Completed, 0));
        let caption = caption(&bench, post).await.unwrap();
        assert!(caption.ends_with("\u{fffd}\u{fffd}"), "{caption}");
        assert_eq!(bench.sandbox.calls("chat_completion").await, 1);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_busy_model_puts_it_off_and_a_refusal_ends_it(pool: PgPool) {
        let bench = Bench::new(pool).await;
        bench.sandbox.fault("chat_completion", json!({ "scenario": "rate_limited" })).await;
        bench.sandbox.fault("chat_completion", json!({ "scenario": "content_filter", "nth": 2 })).await;
        let (_, job) = planned(&bench).await;
        bench.drain().await;
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Scheduled, 0));
        bench.drain_after(Duration::from_secs(31)).await;
        assert_eq!(
            (bench.job(job).await.state.name(), bench.error_class(job).await.as_str()),
            ("discarded", "declined")
        );
    }
}
