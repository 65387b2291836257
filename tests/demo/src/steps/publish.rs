//! Publishes some posts now and schedules the others.

use anyhow::Context as _;
use uuid::Uuid;

use super::Stage;
use crate::{
    api::Placement,
    clock,
    restaurant::Restaurant,
    say,
    views::{Job, Post},
};

/// The number of posts published in this step.
const NOW: usize = 2;

/// The index of the post that each restaurant keeps for a step with a fault.
pub(super) const KEPT: usize = NOW;

/// Publishes the first posts and schedules all others but one.
pub(super) async fn publish(stage: &Stage, restaurants: &[Restaurant]) -> anyhow::Result<()> {
    say::heading(5, "Publishing");
    say::asked("POST /posts/schedule: the first two posts of each month go out now, with a picture. One is kept for");
    say::asked("the next steps; the nine others wait for their day.");
    for restaurant in restaurants {
        say::asked(&format!("{}:", restaurant.profile.name));
        for at in 0..NOW {
            let job = stage.api.completed(send_now(stage, restaurant, at).await?).await?;
            tell(&job, restaurant, &restaurant.posts[at]);
        }
        let later: Vec<Placement> = (KEPT + 1..restaurant.posts.len()).map(|at| placement(restaurant, at)).collect();
        let jobs = stage.api.schedule(restaurant.tenant_id, restaurant.account.id, &later).await?;
        let first = stage.api.get_job(*jobs.first().context("no jobs publish the other posts")?).await?;
        let (from, to) = (restaurant.posts[KEPT + 1].day(), restaurant.posts[restaurant.posts.len() - 1].day());
        say::job_is(&first, &first.state, &format!("and {} more, from {from} to {to}", jobs.len() - 1));
    }
    Ok(())
}

/// Schedules the post at this place of the month for now, and returns its job.
pub(super) async fn send_now(stage: &Stage, restaurant: &Restaurant, at: usize) -> anyhow::Result<Uuid> {
    let now = Placement { at: Some(clock::now()), ..placement(restaurant, at) };
    let jobs = stage.api.schedule(restaurant.tenant_id, restaurant.account.id, &[now]).await?;
    jobs.first().copied().context("no job publishes the post")
}

fn placement(restaurant: &Restaurant, at: usize) -> Placement {
    let (post_id, asset_id) = (restaurant.posts[at].id, restaurant.picture_for(at).asset_id);
    Placement { post_id, at: None, asset_id }
}

fn tell(job: &Job, restaurant: &Restaurant, post: &Post) {
    let beginning: String = post.text().chars().take(40).collect();
    say::job(job, &format!("\"{beginning}...\" is on {:?}", restaurant.account.name));
}
