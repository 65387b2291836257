//! The verdict of an exam.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    plan::{Ends, Trick, World},
    stage::Stage,
    watch::{Content, Seen, Shown},
};

/// The report of an exam, and the errors found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// A report with a line for each content.
    pub(super) told: String,
    pub(super) wrong: Vec<String>,
}

/// Compares the final states with the published posts.
pub(super) async fn reach(stage: &Stage, interrupted: &[String], seen: &Seen) -> Verdict {
    let (shown, out) = (stage.viewer.shown().await, stage.viewer.out().await);
    let mut verdict = Verdict { wrong: seen.untruths.iter().cloned().collect(), ..Verdict::default() };
    let mut groups: BTreeMap<Content, Vec<Shown>> = BTreeMap::new();
    for delivery in shown {
        groups.entry(delivery.content.clone()).or_default().push(delivery);
    }
    let ghosts = out.keys().filter(|content| !groups.contains_key(content));
    verdict.wrong.extend(ghosts.map(|content| format!("{content:?}: published, but never requested")));
    let nothing = BTreeSet::new();
    for (content, deliveries) in &groups {
        let tricks = &stage.tricks[&content.marker];
        let out = out.get(content).unwrap_or(&nothing);
        let group = Group { content, deliveries, tricks, out, interrupted, world: &stage.world };
        group.judge(&mut verdict);
    }
    let _ = write!(verdict.told, "exam: {} deliveries, {} samples", groups.values().flatten().count(), seen.samples);
    verdict
}

struct Group<'a> {
    content: &'a Content,
    deliveries: &'a [Shown],
    tricks: &'a [Trick],
    out: &'a BTreeSet<String>,
    interrupted: &'a [String],
    world: &'a World,
}

impl Group<'_> {
    fn in_state<'a>(&'a self, state: &'a str) -> impl Iterator<Item = &'a Shown> {
        self.deliveries.iter().filter(move |delivery| delivery.state == state)
    }

    fn judge(&self, verdict: &mut Verdict) {
        let states: Vec<&str> = self.deliveries.iter().map(|delivery| delivery.state.as_str()).collect();
        let Content { page_id, marker, width } = self.content;
        let picture = if width.is_some() { "picture" } else { "text" };
        let out = self.out.len();
        let names: Vec<&str> = self.tricks.iter().map(|trick| trick.name.as_str()).collect();
        let _ = writeln!(
            verdict.told,
            "exam: {marker} on {page_id}, {picture}, {}: {states:?}, {out} out",
            names.join("; ")
        );
        for delivery in self.in_state("unknown") {
            let _ = writeln!(verdict.told, "exam:   {}", delivery.error);
        }
        let mut wrong = |words: &str| {
            verdict.wrong.push(format!("{words}: {:?}, out: {:?}, {:?}", self.tricks, self.out, self.deliveries));
        };
        let (published, unknown, failed) =
            (self.in_state("published").count(), self.in_state("unknown").count(), self.in_state("failed").count());
        if published + unknown + failed < self.deliveries.len() {
            wrong("lost: it has not ended");
        }
        if out + failed > self.deliveries.len() {
            wrong("duplicated");
        }
        let remotes: BTreeSet<&String> =
            self.in_state("published").filter_map(|delivery| delivery.remote_id.as_ref()).collect();
        if remotes.len() < published || remotes.iter().any(|id| !self.out.contains(*id)) {
            wrong("recorded with the id of another post");
        }
        if failed > 0 && self.tricks.iter().all(|trick| trick.ends != Ends::Failed) {
            wrong("lost: failed although no response refused it for good");
        }
        // Posts that are published and that a search could identify.
        let is_alone = self.tricks.len() == 1 && !self.world.hides_apps;
        let shows_picture = width.is_some() && !self.world.hides_pictures;
        if out > published && (is_alone || shows_picture) {
            wrong("unknown, although it is published and no other post looks like it");
        }
        // All other posts: no response said that they were not published.
        let is_told = |delivery: &&Shown| !self.interrupted.contains(&delivery.id);
        if published == out
            && self.tricks.iter().all(|trick| trick.ends != Ends::Unknown)
            && self.in_state("unknown").filter(is_told).count() > 0
        {
            wrong("lost: unknown without a reason");
        }
    }
}
