//! Kills the worker while Facebook publishes a post.

use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use super::{Findings, Stage, lost_reply, publish};
use crate::{restaurant::Restaurant, say, views::Job, wait};

/// The number of no-op jobs in progress when the worker dies, besides pictures to render.
const NOOPS: usize = 20;
const PICTURES: usize = 8;

/// The longest time until recovery. The dead worker's call had 20 seconds, and nothing may be
/// concluded before they are over.
const RECOVERY: Duration = Duration::from_mins(1);

/// Kills the worker in the middle of a publishing call and of other work, and starts another.
pub(super) async fn kill_worker(
    stage: &mut Stage,
    restaurants: &[Restaurant],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let restaurant = &restaurants[1];
    say::heading(7, "The worker is killed");
    say::asked("The stand-in publishes the next post of Hults Cafe, and responds slowly. In that moment, with other");
    say::asked("work in progress, the worker is killed (kill -9): it can neither finish nor report.");
    stage.sandbox.plan_fault(&json!({"operation": "publish_feed", "reply_delay_ms": 15_000})).await?;
    let id = publish::send_now(stage, restaurant, publish::KEPT).await?;
    let text = restaurant.posts[publish::KEPT].text();
    wait::until("the post to be on the Page", Duration::from_secs(20), async || {
        Ok((lost_reply::count(stage, restaurant, text).await? > 0).then_some(()))
    })
    .await?;
    let others = enqueue_others(stage, restaurants).await?;
    let pid = stage.workers.pid();
    stage.workers.kill().await?;
    let died = Instant::now();
    say::at(0.0, &format!("kill -9 {pid}"));
    show_left_behind(stage, id, &others, findings).await?;
    let (pid, took) = stage.workers.start().await?;
    let ready = format!("another worker runs (process {pid}, ready after {} ms)", took.as_millis());
    say::at(died.elapsed().as_secs_f32(), &ready);
    recover(stage, id, &others, died).await?;
    let job = stage.api.completed(id).await?;
    say::job(&job, &format!("found on the Page (read_back: {})", job.was_read_back()));
    findings.check(job.was_read_back(), || "the killed worker's post was not found by reading back".to_owned());
    findings.check(job.crashes >= 1, || "the killed worker's job was not counted as crashed".to_owned());
    let times = lost_reply::count(stage, restaurant, text).await?;
    findings.check(times == 1, || format!("the killed worker's post is on the Page {times} times"));
    say::asked(&format!("The stand-in's ledger has this post {}.", lost_reply::in_words(times)));
    Ok(())
}

/// Enqueues the jobs beside the post, and returns how to find them.
async fn enqueue_others(stage: &Stage, restaurants: &[Restaurant]) -> anyhow::Result<Others> {
    let tenant_id = restaurants[0].tenant_id;
    let mut renderings = Vec::new();
    for at in 0..PICTURES {
        let restaurant = &restaurants[at % restaurants.len()];
        let photo = restaurant.rendered[0].source_id;
        renderings.push(stage.api.overlay(photo, &format!("See you in {at} days"), "center").await?.job_id);
    }
    wait::until("a picture in progress", Duration::from_secs(10), async || {
        let first = stage.api.get_job(renderings[0]).await?;
        Ok((first.state == "executing" || first.has_ended()).then_some(()))
    })
    .await?;
    stage.api.create_noops(tenant_id, NOOPS).await?;
    Ok(Others { tenant_id, renderings })
}

struct Others {
    tenant_id: Uuid,
    renderings: Vec<Uuid>,
}

impl Others {
    async fn list(&self, stage: &Stage) -> anyhow::Result<Vec<Job>> {
        let mut jobs = stage.api.list_jobs(&format!("tenant_id={}&kind=noop", self.tenant_id)).await?;
        for id in &self.renderings {
            jobs.push(stage.api.get_job(*id).await?);
        }
        Ok(jobs)
    }
}

/// Prints the jobs that the dead worker was running. They stay `executing` until its lease is over.
async fn show_left_behind(stage: &Stage, id: Uuid, others: &Others, findings: &mut Findings) -> anyhow::Result<()> {
    let job = stage.api.get_job(id).await?;
    say::job_is(&job, &job.state, "the worker is dead: the post is published, but not recorded here");
    findings.check(job.state == "executing", || format!("the killed worker's post was {}", job.standing()));
    let jobs = others.list(stage).await?;
    let count = |state: &str| jobs.iter().filter(|job| job.state == state).count();
    let (done, in_hand) = (count("completed"), count("executing"));
    say::asked(&format!(
        "Of {} other jobs ({NOOPS} that do nothing, {PICTURES} pictures to render) {done} were done, {in_hand} in its \
         hands, {} waiting.",
        jobs.len(),
        jobs.len() - done - in_hand
    ));
    findings.check(jobs.len() == NOOPS + PICTURES, || format!("there are {} other jobs", jobs.len()));
    findings.check(done < jobs.len(), || "all other jobs were done before the worker was killed".to_owned());
    Ok(())
}

/// Waits until the post and everything else is done.
async fn recover(stage: &Stage, id: Uuid, others: &Others, died: Instant) -> anyhow::Result<()> {
    say::asked(
        "The new worker takes the old one's jobs after the old lease (3 seconds here) has expired. The post has",
    );
    say::asked("to wait for the timeout of its call, 20 seconds after it began: only then the Page is conclusive.");
    let (mut standing, mut others_done, mut told) = (String::new(), false, Instant::now());
    wait::until("everything to recover", RECOVERY, async || {
        let job = stage.api.get_job(id).await?;
        let seconds = died.elapsed().as_secs_f32();
        if job.standing() != standing {
            standing = job.standing();
            say::at(seconds, &format!("the post's job is {standing}"));
            told = Instant::now();
        }
        if !others_done {
            let jobs = others.list(stage).await?;
            others_done = jobs.iter().all(|job| job.state == "completed");
            if others_done {
                let rescued = jobs.iter().filter(|job| job.crashes > 0).count();
                let words = format!("all {} other jobs are completed, {rescued} of them on a second try", jobs.len());
                say::at(seconds, &words);
            }
        }
        if told.elapsed() > Duration::from_secs(5) {
            say::at(seconds, &format!("waiting; the post's job is {standing}"));
            told = Instant::now();
        }
        Ok((job.has_ended() && others_done).then_some(()))
    })
    .await
}
