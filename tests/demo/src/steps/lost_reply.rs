//! Publishes a post and loses Facebook's response.

use std::time::Duration;

use serde_json::json;

use super::{Findings, Stage, publish};
use crate::{restaurant::Restaurant, say, wait};

/// Loses the response to the call that publishes the kept post.
pub(super) async fn lose_reply(stage: &Stage, restaurant: &Restaurant, findings: &mut Findings) -> anyhow::Result<()> {
    say::heading(6, "The response gets lost");
    say::asked(
        "The stand-in publishes the next post of Krusty Pizza, and then cuts the connection instead of responding.",
    );
    say::asked("Sending again could publish it twice. So Linecook suspends the job and looks at the Page first.");
    stage.sandbox.plan_fault(&json!({"operation": "publish_feed", "drop": "after"})).await?;
    let id = publish::send_now(stage, restaurant, publish::KEPT).await?;
    let job = wait::until("the job to notice", Duration::from_secs(20), async || {
        let job = stage.api.get_job(id).await?;
        Ok((job.has_ended() || job.suspended_on.is_some()).then_some(job))
    })
    .await?;
    findings.check(job.suspended_on.as_deref() == Some("reconcile"), || {
        format!("after the lost response the job was {} instead of suspended on reconcile", job.standing())
    });
    say::job_is(&job, &job.standing(), "no response: it may be published, so it is not sent again");
    let job = stage.api.completed(id).await?;
    findings.check(job.was_read_back(), || "the post with the lost response was not found by reading back".to_owned());
    let text = restaurant.posts[publish::KEPT].text();
    say::job(&job, &format!("found on the Page (read_back: {})", job.was_read_back()));
    let times = count(stage, restaurant, text).await?;
    findings.check(times == 1, || format!("the post with the lost response is on the Page {times} times"));
    say::asked(&format!("The stand-in's ledger has this post {}.", in_words(times)));
    Ok(())
}

/// Counts how often a text is on the Page, by the ledger.
pub(super) async fn count(stage: &Stage, restaurant: &Restaurant, text: &str) -> anyhow::Result<usize> {
    let effects = stage.sandbox.list_effects().await?;
    let page = restaurant.profile.page_id;
    Ok(effects.iter().filter(|effect| effect.page_id == page && effect.message.as_deref() == Some(text)).count())
}

/// Returns a count in words: `once`, `3 times`.
pub(super) fn in_words(times: usize) -> String {
    match times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    }
}
