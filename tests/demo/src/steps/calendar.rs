//! Writes a month of posts.

use anyhow::{Context as _, ensure};
use uuid::Uuid;

use super::Stage;
use crate::{
    clock,
    restaurant::{PROFILES, Profile},
    say,
    views::Post,
};

/// Has each restaurant's next month written.
pub(super) async fn write(stage: &Stage, tenants: &[Uuid]) -> anyhow::Result<Vec<Vec<Post>>> {
    let month = clock::next_month();
    say::heading(4, &format!("A month of posts, {month}"));
    say::asked(
        "POST /tenants/{id}/calendars: one job has the AI plan 12 posts, and then waits for its child jobs, which",
    );
    say::asked("have it write a caption each, all at the same time.");
    let mut months = Vec::new();
    for (profile, &tenant_id) in PROFILES.iter().zip(tenants) {
        months.push(one(stage, profile, tenant_id, &month).await?);
    }
    Ok(months)
}

async fn one(stage: &Stage, profile: &Profile, tenant_id: Uuid, month: &str) -> anyhow::Result<Vec<Post>> {
    let calendar = stage.api.create_calendar(tenant_id, month, profile.brief).await?;
    say::asked(&format!("{}: \"{}\"", profile.name, profile.brief));
    let job = stage.api.completed(calendar.job_id.context("the calendar has no job")?).await?;
    let captions = stage.api.list_jobs(&format!("tenant_id={tenant_id}&parent_id={}", job.id)).await?;
    let slowest = captions.iter().max_by_key(|caption| caption.took_ms()).context("no captions were requested")?;
    let calendar = stage.api.get_calendar(calendar.id).await?;
    let captioned = calendar.posts.iter().filter(|post| !post.text().is_empty()).count();
    ensure!(
        calendar.state == "ready" && captioned == 12 && captions.iter().all(|job| job.state == "completed"),
        "the month of {} is {} with {captioned} captions instead of 12",
        profile.name,
        calendar.state
    );
    say::job(slowest, &format!("the slowest of {} captions", captions.len()));
    say::job(&job, &summary(&calendar.posts));
    samples(&calendar.posts);
    Ok(calendar.posts)
}

fn summary(posts: &[Post]) -> String {
    match (posts.first(), posts.last()) {
        (Some(first), Some(last)) => format!("{} posts from {} to {}", posts.len(), first.day(), last.day()),
        _ => "no posts".to_owned(),
    }
}

fn samples(posts: &[Post]) {
    for post in posts.iter().take(2) {
        say::quote(&post.day(), post.text());
    }
}
