//! Compares the published posts with the expected ones.

use super::{Findings, Stage, publish};
use crate::{
    restaurant::Restaurant,
    sandbox::Effect,
    say,
    views::{Job, Post},
};

/// Compares the sandbox's ledger and the API's posts with what was asked for, and prints the
/// result.
pub(super) async fn compare(stage: &Stage, restaurants: &[Restaurant], findings: &mut Findings) -> anyhow::Result<()> {
    say::heading(8, "The published posts");
    say::asked("Compares the stand-in's ledger with the request: text, Page, picture, and no other post.");
    let effects = stage.sandbox.list_effects().await?;
    let calls = stage.sandbox.count_publishing_calls().await?;
    let mut rows = vec![
        ["restaurant", "posts out", "each once", "text, Page, picture", "waiting for their day"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut expected = 0;
    for restaurant in restaurants {
        let posts = stage.api.list_posts(restaurant.tenant_id).await?;
        let jobs = stage.api.list_jobs(&format!("tenant_id={}", restaurant.tenant_id)).await?;
        rows.push(row(restaurant, &posts, &jobs, &effects, findings));
        expected += publish::KEPT + 1;
    }
    findings.check(effects.len() == expected, || format!("{} posts exist instead of {expected}", effects.len()));
    findings.check(u64::try_from(expected).is_ok_and(|expected| expected == calls), || {
        format!("Facebook was asked to publish {calls} times for {expected} posts")
    });
    say::line("");
    say::table(&rows);
    say::line("");
    say::asked(&format!("Facebook was asked to publish {calls} times, for {expected} posts."));
    say::line("\n  The pictures stay here:");
    for rendered in restaurants.iter().flat_map(|restaurant| &restaurant.rendered) {
        say::line(&format!("    {}", rendered.path.display()));
    }
    Ok(())
}

/// Returns one restaurant's row of the table.
fn row(
    restaurant: &Restaurant,
    posts: &[Post],
    jobs: &[Job],
    effects: &[Effect],
    findings: &mut Findings,
) -> Vec<String> {
    let (mut once, mut right, mut waiting) = (0, 0, 0);
    let before = findings.0.len();
    for (at, planned) in restaurant.posts.iter().enumerate() {
        let name = format!("{}'s post of {}", restaurant.profile.name, planned.day());
        let found = posts.iter().find(|post| post.id == planned.id);
        let Some(delivery) = found.and_then(|post| post.deliveries.first()) else {
            findings.0.push(format!("{name} has no delivery"));
            continue;
        };
        if at > publish::KEPT {
            let waits = delivery.state == "scheduled" && Some(delivery.scheduled_at) == planned.planned_at;
            findings.check(waits, || format!("{name} is {} for {}", delivery.state, delivery.scheduled_at));
            waiting += usize::from(waits);
            continue;
        }
        findings.check(delivery.state == "published", || format!("{name} is {}", delivery.state));
        let its: Vec<&Effect> = effects.iter().filter(|effect| is_of(effect, restaurant, planned)).collect();
        findings.check(its.len() == 1, || format!("{name} is on the Page {} times", its.len()));
        once += usize::from(its.len() == 1);
        let as_asked = its.iter().all(|effect| {
            effect.picture.as_ref() == Some(&restaurant.picture_for(at).picture)
                && effect.post_id == delivery.remote_id
                && effect.published
                && !effect.deleted
        });
        findings.check(as_asked, || format!("{name} is published with another picture or id than Linecook shows"));
        right += usize::from(as_asked && !its.is_empty());
    }
    check_jobs(restaurant, jobs, findings);
    let out = effects.iter().filter(|effect| effect.page_id == restaurant.profile.page_id).count();
    let word = |count: usize| if count == publish::KEPT + 1 { "yes" } else { "NO" };
    let name = if findings.0.len() == before { "" } else { " (!)" };
    let name = format!("{}{name}", restaurant.profile.name);
    vec![name, out.to_string(), word(once).to_owned(), word(right).to_owned(), waiting.to_string()]
}

fn is_of(effect: &Effect, restaurant: &Restaurant, post: &Post) -> bool {
    effect.page_id == restaurant.profile.page_id && effect.message.as_deref() == Some(post.text())
}

/// Checks that every job has completed, except those scheduled for a later day.
fn check_jobs(restaurant: &Restaurant, jobs: &[Job], findings: &mut Findings) {
    for job in jobs.iter().filter(|job| job.state != "completed") {
        let waits = job.kind == "publish_post" && job.state == "scheduled";
        findings.check(waits, || {
            format!("{}: {} {} is {}: {}", restaurant.profile.name, job.kind, job.id, job.standing(), job.why())
        });
    }
}
