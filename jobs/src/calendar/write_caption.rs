//! Writes the caption of one post of a calendar.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store::{self, CaptionBrief};
use crate::{
    engine::{Cause, Done, Job, JobContext, JobError, Queue, Retry},
    ids::PostId,
    providers::ai::Question,
};

/// The longest caption that every network takes. Source: Instagram content publishing, caption <= 2200 characters.
const MAX_CAPTION_CHARS: usize = 2200;

/// Write the caption of the post `post_id`.
///
/// Safe to repeat: a caption is written only where there is none; a second answer of the model is thrown away.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteCaption {
    /// The post.
    pub post_id: PostId,
}

impl Job for WriteCaption {
    const KIND: &'static str = "write_caption";
    const QUEUE: Queue = Queue::Ai;
    const RETRY: Retry = Retry::QUICK;
    const TIMEOUT: Duration = Duration::from_secs(150);

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
        let answer: Answer = cx.services().ai.ask(question(&brief)).await?;
        let caption = check(&answer.caption)?;
        let mut tx = cx.begin().await?;
        store::mark_captioned(&mut tx, cx.tenant_id(), self.post_id, caption).await?;
        store::mark_ready_at_last(&mut tx, cx.tenant_id(), self.post_id).await?;
        tx.complete(json!({ "characters": caption.chars().count() })).await
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
    Err(JobError::Retry(Cause::plain("unusable", words)))
}
